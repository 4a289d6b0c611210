import type { ISettingRegistry } from '@jupyterlab/settingregistry';

type Property = ISettingRegistry.IProperty;

type SettingText = readonly [title: string, description: string, choices?: Readonly<Record<string, string>>];

/** What a schema of settings says to people. */
export interface SettingTexts {
  title: string;
  description: string;
  /** By the name of the setting: its title, what it is about, and how its values are called. */
  properties: Readonly<Record<string, SettingText>>;
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
          const said = texts.properties[name];
          return [name, said ? translated(property, said) : property];
        })
      );
      const { title, description } = texts;
      return { ...plugin, schema: { ...plugin.schema, title, description, properties } };
    }
  });
}

/** A choice by its name instead of its value: what `enum` cannot say, `oneOf` can. */
function translated(property: Property, [title, description, choices]: SettingText): Property {
  if (!choices) {
    return { ...property, title, description };
  }
  const { enum: _values, ...rest } = property;
  const oneOf = Object.entries(choices).map(([value, name]) => ({ const: value, title: name }));
  return { ...rest, title, description, oneOf };
}
