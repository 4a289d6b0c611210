import { TranslationBundle } from '@jupyterlab/translation';

/** Why something is in its state, in a few words; a reason that is not known is shown as it is. */
export function reasonText(trans: TranslationBundle, reason: string): string {
  return { ...failures(trans), ...waits(trans) }[reason] ?? reason;
}

/** Why something is in its state: the reason, and what is said about it. */
export function whyText(
  trans: TranslationBundle,
  { reason, message }: { reason: string; message: string }
): string {
  return [reason && reasonText(trans, reason), message].filter(Boolean).join(': ');
}

function failures(trans: TranslationBundle): Record<string, string> {
  return {
    ExitCode: trans.__('The command failed'),
    OutputMissing: trans.__('A declared output is missing'),
    OOMKilled: trans.__('Out of memory'),
    CommandNotFound: trans.__('The command was not found'),
    ImagePull: trans.__('The image cannot be pulled'),
    BadSpec: trans.__('The definition was refused'),
    UpstreamFailed: trans.__('A step before it failed'),
    ShimLost: trans.__('Its process was lost'),
    NodeLost: trans.__('Its node was lost'),
    Evicted: trans.__('Evicted from its node'),
    StartFailed: trans.__('It could not be started'),
    InputUnavailable: trans.__('An input is not available'),
    OutputUnstored: trans.__('An output could not be stored'),
    Gone: trans.__('It disappeared'),
    DeadlineExceeded: trans.__('Its time was over'),
    Cancelled: trans.__('Cancelled')
  };
}

function waits(trans: TranslationBundle): Record<string, string> {
  return {
    Unschedulable: trans.__('No node has room for it'),
    WaitingForSlot: trans.__('Waiting for a free place'),
    PreparingEnvironment: trans.__('Preparing its environment'),
    PullingImage: trans.__('Pulling its image'),
    Quota: trans.__('Waiting for quota'),
    Retrying: trans.__('Trying again'),
    BackendUnavailable: trans.__('The back end does not answer')
  };
}
