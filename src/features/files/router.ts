import type { RouteTable } from '../../http/route.ts';
import { mountContent } from './content-routes.ts';
import { mountFileRecords } from './file-routes.ts';
import { mountObjects } from './object-routes.ts';
import type { FileService } from './service.ts';
import { type FileRouteOptions, mountUploads } from './upload-routes.ts';

/** `/v1/files`, and `/v1/objects` if links point to Atlas. */
export function mountFiles(routes: RouteTable, files: FileService, options: FileRouteOptions): void {
  mountUploads(routes, files, options);
  mountFileRecords(routes, files);
  mountContent(routes, files);
  if (files.servesLinks) mountObjects(routes, files, options);
}
