/** The service of the demo. */
export const DEMO_SERVICE = 'shop';

/** Where a demo instance says that it is ready, also one that fails every request. */
export const DEMO_READY_PATH = '/ready';
