import { componentParameters, unwrap } from '../document/step';
import { JsonObject, object } from '../document/types';
import { TemplateCatalog } from './catalog';
import { PipelineDocument } from '../document/document';

const WHOLE = /^\{\{\s*parameters\.([A-Za-z_]\w*)\s*\}\}$/;

/** How run-time parameters are shown: as the fields of the steps that take them as they are. */
export async function hintsOf(
  document: PipelineDocument,
  catalog: TemplateCatalog
): Promise<ReadonlyMap<string, JsonObject>> {
  const hints = new Map<string, JsonObject>();
  for (const node of document.nodes) {
    const uses = Object.entries(componentParameters(node)).flatMap(([field, raw]) => {
      const name = WHOLE.exec(String(unwrap(raw)))?.[1];
      return name && !hints.has(name) ? [{ field, name }] : [];
    });
    const template = uses.length ? catalog.templateOf(node) : undefined;
    const detail = template && (await catalog.detail(template.name).catch(() => undefined));
    for (const { field, name } of detail ? uses : []) {
      const schema = object(object(detail?.parameters.properties)[field]);
      if (schema['x-ui']) {
        hints.set(name, object(schema['x-ui']));
      }
    }
  }
  return hints;
}
