import { nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

/** The domain of all strings of ours. */
export const DOMAIN = 'atelier';

/** The strings of the person's language, for every part below. */
export const TransContext = React.createContext<TranslationBundle>(nullTranslator.load(DOMAIN));

/** The strings of the person's language. */
export function useTrans(): TranslationBundle {
  return React.useContext(TransContext);
}

/** Gives `trans` to every part below; without one, what stands above goes on. */
export function WithTrans(props: { trans?: TranslationBundle; children: React.ReactNode }): JSX.Element {
  if (!props.trans) {
    return <>{props.children}</>;
  }
  return <TransContext.Provider value={props.trans}>{props.children}</TransContext.Provider>;
}
