// Runs in the browser, after swagger-ui.js. Tags are closed at first, and the filter finds them by name: of 150 or more
// open rows, Swagger UI renders only those in view, and the search of the browser does not find the rest.
window.ui = window.SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  docExpansion: 'none',
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});

// Each response is one line, so that an operation fits on a screen. A click on its status shows the rest: the schema,
// the examples, and the headers.
const style = document.createElement('style');
style.textContent = `
.responses-table:not(.live-responses-table) .response > td { padding: 2px 0 !important; }
.responses-table:not(.live-responses-table) .response > .response-col_status { cursor: pointer; }
.responses-table:not(.live-responses-table) .response > .response-col_status::after { content: ' ▸'; }
.responses-table:not(.live-responses-table) .response.open > .response-col_status::after { content: ' ▾'; }
.responses-table:not(.live-responses-table) .response .renderedMarkdown p { margin: 0 !important; }
.responses-table:not(.live-responses-table) .response:not(.open) > .response-col_description > :not(.response-col_description__inner),
.responses-table:not(.live-responses-table) .response > .response-col_links,
.responses-table .col_header.response-col_links { display: none; }
.body-param .body-param__text { min-height: 150px !important; height: 150px; }
.opblock-body .opblock-description-wrapper { padding-bottom: 0; }
.opblock-body .opblock-section-header { min-height: 0 !important; padding-block: 4px !important; }
.opblock-body .table-container, .opblock-body .responses-inner { padding-block: 4px !important; }
.opblock-body .parameters > td { padding-block: 4px !important; }
.opblock-body .execute-wrapper, .opblock-body .btn-group { padding-block: 10px !important; }
`;
document.head.append(style);
document.addEventListener('click', ({ target }) => {
  const response = target
    .closest('.response-col_status')
    ?.closest('.responses-table:not(.live-responses-table) .response');
  response?.classList.toggle('open');
});
