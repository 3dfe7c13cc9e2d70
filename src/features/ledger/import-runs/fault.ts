/** Why a line cannot be imported. `member` is null if it is the whole line. */
export class Fault {
  readonly member: string | null;
  readonly detail: string;

  constructor(member: string | null, detail: string) {
    this.member = member;
    this.detail = detail;
  }
}

export function fault(member: string | null, detail: string): Fault {
  return new Fault(member, detail);
}
