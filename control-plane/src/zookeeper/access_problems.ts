import type { StandingProblem } from '../model/standing_problem.js';
import { refusedCredentials } from './access.js';
import type { ZooKeeperLink } from './link.js';
import type { NodePermissions } from './permissions.js';

/** What is wrong with the right to use ZooKeeper: the files of the credentials (`authFile`) and of TLS, and the ACLs of nodes. */
export function accessProblems(
  link: Pick<ZooKeeperLink, 'accessProblem' | 'state'>,
  permissions: Pick<NodePermissions, 'refused'>,
  authFile: string,
): readonly StandingProblem[] {
  return [...credentials(link, authFile), ...refused(permissions, authFile)];
}

function credentials(
  link: Pick<ZooKeeperLink, 'accessProblem' | 'state'>,
  authFile: string,
): readonly StandingProblem[] {
  const isRefused = authFile !== '' && link.state().detail === refusedCredentials(authFile);
  const reason = link.accessProblem ?? (isRefused ? refusedCredentials(authFile) : null);
  if (reason === null) return [];
  const message = `${reason}; a new connection to ZooKeeper cannot be made until it is corrected, and what is connected stays so`;
  return [{ code: 'unusable_credentials', service: null, message }];
}

function refused(
  permissions: Pick<NodePermissions, 'refused'>,
  authFile: string,
): readonly StandingProblem[] {
  return [...permissions.refused()].map(([path, reason]) => ({
    ...{ code: 'wrong_permissions' as const, service: null, path },
    message: `the controller may not read or set the ACL of this node (${reason}); add the user by which it was made to ${authFile} as one more line, or set its ACL by a user that may`,
  }));
}
