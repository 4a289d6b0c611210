import type { ISettingRegistry } from '@jupyterlab/settingregistry';

/** What a schema of settings says to people. */
export interface SettingTexts {
  title: string;
  description: string;
  /** By the name of the setting: its title, and what it is about. */
  properties: Readonly<Record<string, readonly [title: string, description: string]>>;
}

/**
 * Show settings in the person's language. Lab's server translates schemas from language packs only, so it is done
 * here, before the schema is used; it asks for it by `jupyter.lab.transform`.
 */
export function translateSettings(registry: ISettingRegistry, id: string, texts: SettingTexts): void {
  registry.transform(id, {
    fetch: plugin => {
      const properties = Object.fromEntries(
        Object.entries(plugin.schema.properties ?? {}).map(([name, property]) => {
          const [title, description] = texts.properties[name] ?? [property.title, property.description];
          return [name, { ...property, title, description }];
        })
      );
      const { title, description } = texts;
      return { ...plugin, schema: { ...plugin.schema, title, description, properties } };
    }
  });
}
