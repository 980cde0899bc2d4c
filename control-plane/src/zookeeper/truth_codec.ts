import type { Result } from '../model/result.js';
import type { NodeChange } from './fence.js';
import type { Found } from './found.js';
import type { NodeStat } from './protocol.js';
import type { Reading } from './reader.js';

/** What a noun's records are in ZooKeeper: where they are, what their bytes mean, and what a change writes. */
export interface Codec<Shown, Edit, Stored> {
  /** The store's `noun`. */
  readonly noun: string;
  /** Its znode below the root of the truth; it is created at the first contact. */
  readonly folder: string;
  /** What is read below the folder. Default: its children, as records. */
  readonly reading?: (names: readonly string[]) => Reading;
  /** Where the record of a name is below the folder. Default: at its name. */
  readonly place?: (name: string) => string;
  /** True: what is shown of a name is made of several nodes that change together. It stays as it is until all of them are read. */
  readonly isCompound?: true;
  /** The error says what is wrong with the bytes. `about.name` is the first name of the node's path below the folder. */
  decode(data: Buffer, about: { readonly name: string; readonly etag: string }): Result<Stored, string>;
  /** What is shown of a name, and what is wrong with its record; `last` is what was shown of it before. */
  show(
    found: Found<Stored>,
    last: Shown | undefined,
  ): { readonly shown: Shown | null; readonly damage: string | null };
  /** What `read` answers where the record is damaged. Default: that it is. */
  readonly substitute?: (name: string, node: { readonly etag: string; readonly ctime: number }) => Stored;
  /** The nodes that an edit changes, the record itself among them; an error says why it must not be written. */
  change(edit: Edit, around: Around<Shown>): Result<RecordChange, string>;
}

/** What an edit means for the nodes. */
export interface RecordChange {
  readonly name: string;
  readonly nodes: readonly Omit<NodeChange, 'name'>[];
}

/** What a codec may know when it plans a change. */
export interface Around<Shown> {
  /** The root of the truth. */
  readonly root: string;
  /** The path at a place below the folder. */
  readonly at: (place: string) => string;
  readonly known: (path: string) => NodeStat | undefined;
  readonly shown: (name: string) => Shown | undefined;
}
