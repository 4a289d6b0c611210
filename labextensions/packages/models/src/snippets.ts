/** Python that loads a version, in a notebook, a step, or anywhere with the person's token. */
export function loadSnippet(reference: string): string {
  return [
    'import mlflow',
    '',
    `model = mlflow.pyfunc.load_model(${JSON.stringify(reference)})`,
    'model.predict(data)'
  ].join('\n');
}
