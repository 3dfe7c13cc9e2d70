import { version } from '../package.json';

/** The version of this Atlas, from package.json. */
export const VERSION: string = version;
