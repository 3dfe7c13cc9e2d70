// Runs in the browser, after redoc.js.
window.Redoc.init(
  '/openapi.json',
  { disableSearch: false, hideDownloadButton: false },
  document.getElementById('redoc'),
);
