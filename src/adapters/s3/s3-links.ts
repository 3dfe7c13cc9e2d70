import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { type ObjectStore, requireKey } from '../object-store/object-store.ts';

/** Presigns links to the objects of a bucket. `client` has the endpoint that the holders of links use. */
export function s3Links(client: S3Client, Bucket: string): Pick<ObjectStore, 'presignPut' | 'presignGet'> {
  return {
    async presignPut(key, { sizeBytes, sha256, mediaType }, expiresIn) {
      const ChecksumSHA256 = Buffer.from(sha256, 'hex').toString('base64');
      const object = { Bucket, Key: requireKey(key), ContentType: mediaType, ContentLength: sizeBytes };
      const url = await getSignedUrl(client, new PutObjectCommand({ ...object, ChecksumSHA256 }), {
        expiresIn,
        // As a header, because S3 does not verify a checksum in the query, even though it is signed.
        unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
        signableHeaders: new Set(['host', 'content-type', 'content-length', 'x-amz-checksum-sha256']),
      });
      const headers = { 'Content-Type': mediaType, 'Content-Length': `${sizeBytes}` };
      return { url, headers: { ...headers, 'x-amz-checksum-sha256': ChecksumSHA256 } };
    },

    async presignGet(key, { disposition, mediaType }, expiresIn) {
      const response = {
        ResponseContentDisposition: disposition,
        ResponseContentType: mediaType,
        // Instead of the one that an uploader can add to a link: readers would decode bytes that are not encoded.
        ResponseContentEncoding: 'identity',
      };
      const command = new GetObjectCommand({ Bucket, Key: requireKey(key), ...response });
      return { url: await getSignedUrl(client, command, { expiresIn }) };
    },
  };
}
