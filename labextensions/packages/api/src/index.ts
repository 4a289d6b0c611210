export * from './atelier';
export * from './client';
export * from './errors';
export * from './feed';
export * from './said';
export * from './types';
