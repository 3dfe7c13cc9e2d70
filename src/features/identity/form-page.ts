/** A small page with a form, for what a browser must do here. */
export interface FormPage {
  readonly title: string;
  /** What else is in the head. */
  readonly head?: string;
  /** What is below the title, as HTML. */
  readonly body: string;
}

/** Returns the HTML of a page. */
export function formPage({ title, head, body }: FormPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.ico">
<title>${title}</title>${head === undefined ? '' : `\n${head}`}
<style>
:root { color-scheme: light dark }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 24rem; margin: 4rem auto; padding: 0 1rem }
input, button { font: inherit; display: block; width: 100%; box-sizing: border-box; margin: .5rem 0; padding: .5rem }
</style>
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`;
}
