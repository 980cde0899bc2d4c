/** Certificates of an authority of the test's own. */
export { Authority, type Certificate } from '../../control-plane/src/testkit.js';
