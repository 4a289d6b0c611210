import { plugins as catalog } from '@atelier/catalog';
import { plugins as datasets } from '@atelier/datasets';
import { plugins as models } from '@atelier/models';
import { plugins as pipelines } from '@atelier/pipelines';
import { plugins as projects } from '@atelier/projects';
import { plugins as runs } from '@atelier/runs';
import { plugins as services } from '@atelier/services';

import { connection } from './connection';
import { launcher } from './launcher';

export default [
  connection,
  ...projects,
  ...pipelines,
  ...runs,
  ...datasets,
  ...models,
  ...services,
  ...catalog,
  launcher
];
