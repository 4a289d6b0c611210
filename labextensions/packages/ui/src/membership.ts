import { IAtelier, unwrap } from '@atelier/api';
import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';
import * as React from 'react';

import { useSignal } from './hooks';

/** What a member of a project is, weakest first. */
export const ROLES = ['viewer', 'member', 'maintainer', 'owner'] as const;
export type RoleName = (typeof ROLES)[number];

/** Who signed in, and what they are in which project; asked for when first needed, and when an event names it. */
export class Membership {
  constructor(private readonly atelier: IAtelier) {
    atelier.feed.event.connect(
      (_, event) => ['member', 'project'].includes(event.subject_kind) && this.again()
    );
    atelier.feed.begun.connect(() => this.again());
    atelier.projectChanged.connect(() => this._changed.emit());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The role in the current project; none while it is not known, or where there is none. */
  get role(): RoleName | undefined {
    return this._roles?.[this.atelier.project] as RoleName | undefined;
  }

  /** Whether the answer is there. */
  get known(): boolean {
    return this._roles !== undefined;
  }

  /** The projects the person is a member of. */
  get projects(): string[] {
    return Object.keys(this._roles ?? {}).sort();
  }

  /** Ask, once. */
  begin(): void {
    if (!this.asked) {
      this.asked = true;
      void this.load();
    }
  }

  /** Whether the role is at least `least`; true while it is not known, since the platform itself refuses. */
  may(least: RoleName): boolean {
    return !this.known || (this.role !== undefined && ROLES.indexOf(this.role) >= ROLES.indexOf(least));
  }

  private async load(): Promise<void> {
    try {
      this._roles = (await unwrap(this.atelier.rest.GET('/me'))).projects;
      this._changed.emit();
    } catch {
      this.asked = false; // what needs it says by itself that the platform is away
    }
  }

  private again(): void {
    if (this.asked) {
      void this.load();
    }
  }

  private asked = false;
  private _roles: Record<string, string> | undefined;
  private readonly _changed = new Signal<this, void>(this);
}

const known = new WeakMap<IAtelier, Membership>();

/** The one membership of a tab. */
export function membershipOf(atelier: IAtelier): Membership {
  let found = known.get(atelier);
  if (!found) {
    found = new Membership(atelier);
    known.set(atelier, found);
  }
  return found;
}

/** The membership, kept up to date. */
export function useMembership(atelier: IAtelier): Membership {
  const membership = membershipOf(atelier);
  useSignal(membership.changed);
  React.useEffect(() => membership.begin(), [membership]);
  return membership;
}

/** A role as people say it. */
export function roleWord(trans: TranslationBundle, role: RoleName): string {
  const words: Record<RoleName, string> = {
    viewer: trans.__('Viewer'),
    member: trans.__('Member'),
    maintainer: trans.__('Maintainer'),
    owner: trans.__('Owner')
  };
  return words[role];
}

/** Why something is not allowed; empty if it is. */
export function refusal(trans: TranslationBundle, membership: Membership, least: RoleName): string {
  if (membership.may(least)) {
    return '';
  }
  const is = membership.role ? roleWord(trans, membership.role) : trans.__('no member');
  return trans.__(
    'You are %1 here; this takes at least %2. Ask an owner of the project.',
    is,
    roleWord(trans, least)
  );
}
