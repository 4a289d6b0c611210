import { plugins as pipelines } from '@atelier/pipelines';

import { connection } from './connection';

export default [connection, ...pipelines];
