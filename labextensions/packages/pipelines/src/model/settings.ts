import type { SettingTexts } from '@atelier/ui';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';

/** What a person has chosen about pipelines; lab/schema/pipelines.json has the same names and defaults. */
export interface Choices {
  snapToGrid: boolean;
  overview: 'large' | 'always' | 'never';
  checkWhileEditing: boolean;
  saveBeforeRun: 'always' | 'ask';
  below: 'nothing' | 'problems' | 'log' | 'results';
}

const DEFAULTS: Choices = {
  snapToGrid: true,
  overview: 'large',
  checkWhileEditing: true,
  saveBeforeRun: 'always',
  below: 'nothing'
};

/** The choices as they stand; until Lab's settings are there, the defaults. */
export class PipelineSettings {
  get choices(): Choices {
    return this._choices;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Follow Lab's settings. */
  follow(settings: ISettingRegistry.ISettings): void {
    const read = (): void => {
      this._choices = { ...DEFAULTS, ...(settings.composite as Partial<Choices>) };
      this._changed.emit();
    };
    settings.changed.connect(read);
    read();
  }

  private _choices = DEFAULTS;
  private readonly _changed = new Signal<this, void>(this);
}

/** The settings in the person's language. */
export function settingTexts(trans: TranslationBundle): SettingTexts {
  return {
    title: trans.__('Atelier Pipelines'),
    description: trans.__('How pipelines are drawn, checked and run.'),
    properties: {
      snapToGrid: [
        trans.__('Snap to the grid'),
        trans.__('Steps that are dragged stop on a grid of 10 pixels.')
      ],
      overview: [
        trans.__('Overview'),
        trans.__('The small map of the whole pipeline.'),
        {
          large: trans.__('For pipelines of 12 steps or more'),
          always: trans.__('Always'),
          never: trans.__('Never')
        }
      ],
      checkWhileEditing: [
        trans.__('Check while editing'),
        trans.__(
          'Look for problems after each change. Without it they are looked for when the pipeline is run.'
        )
      ],
      saveBeforeRun: [
        trans.__('Save before a run'),
        trans.__('What is run is the file.'),
        { always: trans.__('Save changes without a question'), ask: trans.__('Ask first') }
      ],
      below: [
        trans.__('Below the canvas'),
        trans.__('What is open there when a pipeline is opened.'),
        {
          nothing: trans.__('Nothing'),
          problems: trans.__('Problems'),
          log: trans.__('Log'),
          results: trans.__('Results')
        }
      ]
    }
  };
}
