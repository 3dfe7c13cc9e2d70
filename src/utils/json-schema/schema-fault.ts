/** What is wrong with a schema, and where. */
export class SchemaFault extends Error {
  /** A JSON pointer (RFC 6901) into the schema. */
  readonly pointer: string;

  constructor(pointer: string, detail: string) {
    super(detail);
    this.name = 'SchemaFault';
    this.pointer = pointer;
  }
}
