import { ErrorNotice, Loading, useLoaded, useTrans, WithTrans } from '@atelier/ui';
import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Amount, Lines, Select, Text } from './fields';
import { Offer } from './offer';
import { Kind, nameOf, Wish } from './wish';

/** What the dialog needs. */
export interface DeployStart {
  wish: Wish;
  /** A service that is there keeps its name. */
  fixed: boolean;
  load: () => Promise<Offer>;
}

/** Ask how to deploy; nothing if the person went away. */
export async function askHow(trans: TranslationBundle, start: DeployStart): Promise<Wish | null> {
  const answer = await showDialog({
    title: start.fixed ? trans.__('Deploy a revision of %1', start.wish.name) : trans.__('Deploy a service'),
    body: new Body(trans, start),
    focusNodeSelector: start.fixed ? 'select' : 'input[name="name"]',
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Deploy') })
    ]
  });
  return answer.button.accept ? answer.value : null;
}

class Body extends ReactWidget implements Dialog.IBodyWidget<Wish> {
  constructor(
    private readonly trans: TranslationBundle,
    private readonly start: DeployStart
  ) {
    super();
    this.wish = { ...start.wish };
  }

  getValue(): Wish {
    return this.wish;
  }

  protected override render(): JSX.Element {
    return (
      <WithTrans trans={this.trans}>
        <Form start={this.start} first={this.wish} onChange={wish => Object.assign(this.wish, wish)} />
      </WithTrans>
    );
  }

  private readonly wish: Wish;
}

/** What all parts of the form have. */
interface Part {
  wish: Wish;
  offer: Offer;
  change: (part: Partial<Wish>) => void;
}

function Form(props: { start: DeployStart; first: Wish; onChange: (wish: Wish) => void }): JSX.Element {
  const { start } = props;
  const trans = useTrans();
  const [wish, setWish] = React.useState(props.first);
  const { value: offer, error, again } = useLoaded(start.load, []);
  if (!offer) {
    return error ? <ErrorNotice error={error} retry={again} /> : <Loading />;
  }
  const change = (part: Partial<Wish>): void => {
    const named = part.model && !wish.name && !start.fixed ? { name: nameOf(part.model) } : {};
    const next = { ...wish, ...named, ...part };
    setWish(next);
    props.onChange(next);
  };
  const of = { wish, offer, change };
  return (
    <div className="at-Form at-Deploy">
      <Source {...of} />
      {!start.fixed && (
        <Text
          label={trans.__('Name')}
          name="name"
          value={wish.name}
          help={trans.__('Part of its URL: lower-case letters, digits and dashes')}
          onChange={name => change({ name })}
        />
      )}
      <Select
        label={trans.__('Stage')}
        value={wish.stage}
        options={[
          ['production', trans.__('Production: the URL leads to it')],
          ['test', trans.__('Test: only for those who ask for it by a header')],
          ['debug', trans.__('Debug: one replica, ends after an hour')]
        ]}
        onChange={stage => change({ stage })}
      />
      <Approval {...of} />
      <Size {...of} />
      <Advanced {...of} />
    </div>
  );
}

function Source({ wish, offer, change }: Part): JSX.Element {
  const trans = useTrans();
  const kinds: [Kind, string][] = [
    ['model', trans.__('A registered model')],
    ['output', trans.__('The output of a step')],
    ['image', trans.__('An image with a command')]
  ];
  const { output } = wish;
  return (
    <>
      <Select
        label={trans.__('What')}
        value={wish.kind}
        options={kinds}
        onChange={kind => change({ kind: kind as Kind })}
      />
      {wish.kind === 'model' && <ModelChoice wish={wish} offer={offer} change={change} />}
      {wish.kind === 'output' && (
        <div className="at-Deploy-row">
          {(['run', 'step', 'output'] as const).map(field => (
            <Text
              key={field}
              label={{ run: trans.__('Run'), step: trans.__('Step'), output: trans.__('Output') }[field]}
              value={output[field]}
              onChange={text => change({ output: { ...output, [field]: text } })}
            />
          ))}
        </div>
      )}
      {wish.kind === 'image' && (
        <>
          <Text label={trans.__('Image')} value={wish.image} onChange={image => change({ image })} />
          <Lines
            label={trans.__('Command, one word per line')}
            value={wish.command}
            help={trans.__('It listens on the port in %1.', '${ATELIER_PORT_HTTP}')}
            onChange={command => change({ command })}
          />
        </>
      )}
      {wish.kind !== 'image' && <Server wish={wish} offer={offer} change={change} />}
    </>
  );
}

/** Servers of others are for clusters: where there is none, or this machine was chosen, nobody is asked. */
function Server({ wish, offer, change }: Part): JSX.Element | null {
  const trans = useTrans();
  const filledIn = React.useRef('');
  const possible = wish.on ? offer.clusters.includes(wish.on) : offer.clusters.length > 0;
  if (!possible && !wish.server) {
    return null;
  }
  const help: Record<string, string> = {
    triton: trans.__('What is deployed is a model repository as Triton lays it out'),
    vllm: trans.__(
      'What is deployed is the folder of a language model; choose a flavor that has an accelerator'
    )
  };
  // A server of others needs a cluster; when one's own comes back, what was filled in for it goes, what was chosen stays.
  const choose = (server: string): void => {
    const chosen = wish.on === filledIn.current ? '' : wish.on;
    const on = server ? clusterOf({ ...wish, on: chosen }, offer) : chosen;
    filledIn.current = on === chosen ? '' : on;
    change({ server, on });
  };
  return (
    <>
      <Select
        label={trans.__('Served by')}
        value={wish.server}
        options={[
          ['', trans.__('Atelier: scikit-learn, XGBoost, LightGBM, ONNX, PyTorch, TensorFlow')],
          ['triton', trans.__('Triton, by its own image')],
          ['vllm', trans.__('vLLM, by its own image')]
        ]}
        help={help[wish.server]}
        onChange={choose}
      />
      {wish.server && (
        <Lines
          label={trans.__('Arguments of the server, one word per line')}
          value={wish.arguments}
          onChange={text => change({ arguments: text })}
        />
      )}
    </>
  );
}

/** Where it can run: the chosen cluster, or the only one there is. */
function clusterOf(wish: Wish, offer: Offer): string {
  return wish.on || (offer.clusters.length === 1 ? offer.clusters[0] : '');
}

function ModelChoice({ wish, offer, change }: Part): JSX.Element {
  const trans = useTrans();
  const known = offer.models.some(one => one.reference === wish.model);
  const first = wish.model && !known ? [wish.model] : [];
  return (
    <label className="at-Form-field">
      {trans.__('Model')}
      <HTMLSelect value={wish.model} onChange={event => change({ model: event.target.value })}>
        {!wish.model && <option value="">{trans.__('Choose…')}</option>}
        {[...first, ...offer.models.map(one => one.reference)].map(reference => (
          <option key={reference} value={reference}>
            {reference}
          </option>
        ))}
      </HTMLSelect>
      {offer.models.length === 0 && (
        <span className="at-Form-help">
          {trans.__('No model is registered yet; deploy the output of a step.')}
        </span>
      )}
    </label>
  );
}

function Approval({ wish, offer }: Part): JSX.Element | null {
  const trans = useTrans();
  const chosen = offer.models.find(one => one.reference === wish.model);
  if (wish.kind !== 'model' || wish.stage !== 'production' || !chosen || chosen.approved) {
    return null;
  }
  return (
    <p className="at-Form-help" role="status">
      {trans.__(
        'This version is not approved: only maintainers may deploy it to production. Others choose Test.'
      )}
    </p>
  );
}

function Size({ wish, offer, change }: Part): JSX.Element {
  const trans = useTrans();
  const flavors: [string, string][] = [
    ['', trans.__('What the platform thinks fit')],
    ...offer.flavors.map((one): [string, string] => [
      one.name,
      [one.name, one.description].filter(Boolean).join(': ')
    ])
  ];
  return (
    <>
      <Select
        label={trans.__('Flavor')}
        value={wish.flavor}
        options={flavors}
        onChange={flavor => change({ flavor })}
      />
      {wish.stage !== 'debug' && (
        <div className="at-Deploy-row">
          <Amount
            label={trans.__('Replicas, at least')}
            value={wish.minimum}
            help={trans.__('0: asleep when nobody asks')}
            onChange={minimum => change({ minimum })}
          />
          <Amount
            label={trans.__('Replicas, at most')}
            value={wish.maximum}
            onChange={maximum => change({ maximum })}
          />
        </div>
      )}
    </>
  );
}

function Advanced({ wish, offer, change }: Part): JSX.Element {
  const trans = useTrans();
  const backends: [string, string][] = [
    ['', trans.__('The default of the project')],
    ...offer.backends.map((name): [string, string] => [name, name])
  ];
  return (
    <details>
      <summary>{trans.__('Advanced')}</summary>
      <div className="at-Form">
        <Amount
          label={trans.__('Canary: percent of the traffic at first')}
          value={wish.canary}
          help={trans.__('Empty: it takes over at once when it is ready')}
          onChange={canary => change({ canary })}
        />
        <div className="at-Deploy-row">
          <Amount
            label={trans.__('Requests at a time per replica')}
            value={wish.inFlight}
            help={trans.__('More of them start more replicas')}
            onChange={inFlight => change({ inFlight })}
          />
          <Amount
            label={trans.__('CPU per replica, in percent')}
            name="cpu"
            value={wish.cpu}
            help={trans.__('More starts more replicas; empty: ignored')}
            onChange={cpu => change({ cpu })}
          />
        </div>
        <div className="at-Deploy-row">
          <Amount
            label={trans.__('Requests per second of one caller')}
            value={wish.rate}
            help={trans.__('0: no limit')}
            onChange={rate => change({ rate })}
          />
          <Amount
            label={trans.__('Seconds an answer may take')}
            value={wish.timeout}
            onChange={timeout => change({ timeout })}
          />
        </div>
        <Amount
          label={trans.__('Seconds until it sleeps')}
          value={wish.idle}
          help={trans.__('Where it may have no replica')}
          onChange={idle => change({ idle })}
        />
        <Amount
          label={trans.__('Percent of the requests to keep')}
          value={wish.kept}
          help={trans.__('With what is sent and answered, for at most seven days: drift is measured from it')}
          onChange={kept => change({ kept })}
        />
        <Select
          label={trans.__('Back end')}
          value={wish.on}
          options={backends}
          onChange={on => change({ on })}
        />
        <label className="at-Form-show">
          <input
            type="checkbox"
            checked={wish.isPublic}
            onChange={event => change({ isPublic: event.target.checked })}
          />
          {trans.__('Public: whoever knows the URL may call it')}
        </label>
      </div>
    </details>
  );
}
