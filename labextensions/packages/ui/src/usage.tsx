import { Usage } from '@atelier/api';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { bytesText } from './format';
import { useVisible } from './hooks';
import { useTrans } from './i18n';

const EVERY = 3000;

/** What `look` finds, again and again while `box` is seen and `active`; nothing is asked for a tab that nobody sees. */
export function useWatched<T>(
  box: React.RefObject<HTMLElement>,
  active: boolean,
  look: () => Promise<T>,
  keys: unknown[]
): T | undefined {
  const on = useVisible(box) && active;
  const [value, setValue] = React.useState<T | undefined>(undefined);
  React.useEffect(() => {
    if (!on) {
      setValue(undefined);
      return undefined;
    }
    let wanted = true;
    let timer = 0;
    const again = async (): Promise<void> => {
      if (!document.hidden) {
        // An older platform, or one that is away: the next look may find it.
        const found = await look().catch(() => undefined);
        if (wanted) {
          setValue(found);
        }
      }
      if (wanted) {
        timer = window.setTimeout(() => void again(), EVERY);
      }
    };
    void again();
    return () => {
      wanted = false;
      window.clearTimeout(timer);
    };
  }, [on, ...keys]);
  return value;
}

/** Cores, as short as they can be read: `0.94`, `12.5`. */
export function coresText(cores: number): string {
  return cores < 10 ? cores.toFixed(2) : cores.toFixed(1);
}

/** `0.94 of 2`, in cores; empty where it is not known. */
export function cpuText(trans: TranslationBundle, usage: Usage): string {
  const { cpu, cpu_given: given } = usage;
  if (cpu === null) {
    return '';
  }
  return given ? trans.__('%1 of %2', coresText(cpu), String(given)) : coresText(cpu);
}

/** `312 MB of 4.3 GB`; empty where it is not known. */
export function memoryText(trans: TranslationBundle, usage: Usage): string {
  const { memory, memory_given: given } = usage;
  if (memory === null) {
    return '';
  }
  return given ? trans.__('%1 of %2', bytesText(memory), bytesText(given)) : bytesText(memory);
}

/** `87 %, 12.1 GB`; empty where there is no accelerator, or nothing is known of it. */
export function gpuText(usage: Usage): string {
  const busy = usage.gpu === null ? '' : `${Math.round(usage.gpu)} %`;
  const taken = usage.gpu_memory === null ? '' : bytesText(usage.gpu_memory);
  return [busy, taken].filter(Boolean).join(', ');
}

/** All that is known, in a sentence; else why nothing is. */
export function usageText(trans: TranslationBundle, usage: Usage): string {
  const gpu = gpuText(usage);
  const parts = [
    usage.cpu === null ? '' : trans.__('CPU: %1', cpuText(trans, usage)),
    usage.memory === null ? '' : trans.__('Memory: %1', memoryText(trans, usage)),
    gpu && trans.__('GPU: %1', gpu)
  ].filter(Boolean);
  return parts.join(' · ') || usage.message;
}

/** What something uses now, in as little room as there is on a step; nothing while it is not known. */
export function UsageTag({ usage }: { usage?: Usage }): JSX.Element | null {
  const trans = useTrans();
  if (!usage || usage.cpu === null || usage.memory === null) {
    return null;
  }
  const parts = [trans.__('%1 CPU', coresText(usage.cpu)), bytesText(usage.memory)];
  if (usage.gpu !== null) {
    parts.push(trans.__('%1 GPU', `${Math.round(usage.gpu)} %`));
  }
  const title = usageText(trans, usage);
  return (
    <span className="at-Usage" title={title} aria-label={title} role="img" aria-live="off">
      {parts.join(' · ')}
    </span>
  );
}
