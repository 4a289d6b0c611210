import type { components, paths } from './schema';

type Schemas = components['schemas'];

// The platform's own words for its own types: nothing here is written by hand but the names.
export type Event = Schemas['Event'];
export type Project = Schemas['Project'];
export type Run = Schemas['Run'];
export type Step = Schemas['Step'];
export type QueuePlace = Schemas['QueuePlace'];
export type StepUsage = Schemas['StepUsage'];
export type ReplicaUsage = Schemas['ReplicaUse'];
/** What a step and a replica have in common. */
export type Usage = Omit<StepUsage, 'step' | 'attempt'>;
export type State = Schemas['State'];
// Services have revisions of their own, so the name alone does not say which: of pipelines.
export type Revision =
  paths['/projects/{project}/revisions']['post']['responses'][201]['content']['application/json'];
export type RevisionDocument = Schemas['RevisionDocument'];
export type Problem = Schemas['ProblemBody'];
export type ResultView = Schemas['ResultView'];
export type Attempt = Schemas['AttemptBody'];
export type Artifact = Schemas['ArtifactBody'];
export type TemplateBody = Schemas['TemplateBody'];
