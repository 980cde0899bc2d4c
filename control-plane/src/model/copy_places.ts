export const COPY_PLACES = ['redis', 'file'] as const;
/** Where a copy of the truth is kept: in Redis, or on the disk of a controller. */
export type CopyPlaceName = (typeof COPY_PLACES)[number];
