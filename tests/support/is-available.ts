/**
 * Whether the tests that need a tool can run. Prints one line if the tool is missing, and throws instead if
 * ATLAS_REQUIRE_SERVICES=1 forbids skipping.
 */
export function isAvailable(tool: string, path: string | null): path is string {
  if (path !== null) return true;
  const text = `${tool} is not installed. Run \`npm run services -- install\` to install what tests need.`;
  if (process.env.ATLAS_REQUIRE_SERVICES === '1') throw new Error(text);
  console.warn(`${text} Skipping its tests.`);
  return false;
}
