/** The tag that builds a query or a part of one, without the driver's types. */
export type Tag<F> = (
  strings: TemplateStringsArray,
  ...values: readonly (string | number | boolean | null | F)[]
) => F;
