"""The hub's authenticator for local accounts, with the page behind a one-time link."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.handlers import BaseHandler, LoginHandler
from jupyterhub.utils import url_path_join
from tornado import web
from tornado.httputil import HTTPServerRequest
from traitlets import Integer, List, Unicode, default

from atelier_core.errors import AtelierError
from atelier_spawner.accounts.passwords import nobody
from atelier_spawner.accounts.setup_page import page
from atelier_spawner.accounts.store import SETUP_PATH, Accounts
from atelier_spawner.accounts.throttle import Throttle

_LONGEST_NAME = 64


class LocalAccounts(Authenticator):
    """Signs in the accounts of one file. There is no default password: the first is chosen behind a one-time link."""

    path = Unicode(help="The file that holds the accounts.").tag(config=True)
    one_person = Unicode(help="Why this hub serves one account only; empty when it can serve several.").tag(config=True)

    trusted_proxies = List(
        Unicode(), ["127.0.0.1", "::1"], help="From which addresses the hub's own proxy connects to it."
    ).tag(config=True)
    proxy_hops = Integer(1, min=0, help="How many proxies of yours a request passes, the hub's own included.").tag(
        config=True
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accounts = Accounts(Path(self.path))
        nobody()  # made now, so that the first unknown name is not told by its delay
        self._throttle = Throttle()
        # scrypt takes 32 MiB and a tenth of a second: a flood of sign-ins must not take all memory.
        self._hashing = asyncio.Semaphore(4)

    @default("allow_all")
    def _allow_all(self) -> bool:
        return True  # everybody who has an account; `authenticate` lets nobody else through

    async def authenticate(self, handler: web.RequestHandler | None, data: Any) -> dict[str, Any] | None:
        """The account that `data` has name and password of."""
        if not isinstance(data, dict):
            return None
        name, password = str(data.get("username") or ""), str(data.get("password") or "")
        if len(name) > _LONGEST_NAME:
            return None  # and nothing of it is kept
        name = self.normalize_username(name)
        address = client_address(handler.request, self.trusted_proxies, self.proxy_hops) if handler else ""
        key = f"{name} {address}"
        wait = self._throttle.wait(key)
        if wait > 0:
            raise web.HTTPError(429, f"Too many failed sign-ins. Try again in {math.ceil(wait)} seconds.")
        # Counted before the slow part: parallel guesses must not all be free.
        self._throttle.failed(key)
        async with self._hashing:
            known = await asyncio.to_thread(self.accounts.verify, name, password)
        if not known:
            return None
        self._throttle.succeeded(key)
        return self._signed_in(name)

    async def redeem(self, token: str, password: str) -> str:
        """Use a one-time link: its account gets `password`. Returns the account's name."""
        async with self._hashing:
            return await asyncio.to_thread(self.accounts.redeem, token, password)

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> bool | dict[str, Any]:
        """Sign out who has no account any more."""
        return self.accounts.get(user.name) is not None

    async def add_user(self, user: Any) -> None:
        """Refuse users who have no account, whichever way they are added."""
        if self.accounts.get(user.name) is None:
            self.log.warning("%s is known to the hub but has no account here", user.name)
            return
        added = super().add_user(user)
        if added is not None:
            await added

    def get_handlers(self, app: Any) -> list[tuple[str, type[BaseHandler]]]:
        """The sign-in form, and the page behind a one-time link."""
        return [("/login", LoginHandler), (f"/{SETUP_PATH}", SetupHandler)]

    def _signed_in(self, name: str) -> dict[str, Any] | None:
        accounts = self.accounts.all()
        if self.one_person and accounts and accounts[0].name != name:
            raise web.HTTPError(403, f"Only {accounts[0].name!r} can use this hub: {self.one_person}")
        return next(({"name": name, "admin": known.admin} for known in accounts if known.name == name), None)


class SetupHandler(BaseHandler):
    """Choosing a password behind a one-time link. Looking at the page does not use the link up; choosing does."""

    async def get(self) -> None:
        """The form, or a sentence why the link does not work."""
        token = self.get_argument("token", "")
        name = self._accounts.whose_link(token)
        self._show(name, token, "" if name else "This link was used already, or it is too old.")

    async def post(self) -> None:
        """Set the password, use the link up and sign in."""
        token, password = self.get_body_argument("token", ""), self.get_body_argument("password", "", strip=False)
        try:
            name = await self.authenticator.redeem(token, password)
        except AtelierError as error:
            self.set_status(400)
            self._show(self._accounts.whose_link(token), token, f"{error.message} {error.hint}")
            return
        user = await self.login_user({"username": name, "password": password})
        if user is None:
            raise web.HTTPError(403)
        self._jupyterhub_user = user
        self.redirect(url_path_join(self.hub.base_url, "home"))

    @property
    def _accounts(self) -> Accounts:
        accounts: Accounts = self.authenticator.accounts
        return accounts

    def _show(self, name: str | None, token: str, problem: str) -> None:
        # The token is in the address: it must not travel on to other sites, nor stay in a cache.
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        action = url_path_join(self.hub.base_url, SETUP_PATH)
        xsrf = self.xsrf_token.decode()
        self.finish(page(name, token, problem, action=action, xsrf=xsrf, login=self.settings["login_url"]))


def client_address(request: HTTPServerRequest, proxies: Iterable[str], hops: int) -> str:
    """Where a request comes from.

    Each of our own proxies adds the address that it sees to the end of X-Forwarded-For. What stands before that, and
    any other header, was written by the client, who could name a new address with each guess.
    """
    peer = request.connection.context.address  # type: ignore[union-attr]
    address = str(peer[0]).removeprefix("::ffff:") if isinstance(peer, tuple) else "127.0.0.1"  # else a socket file
    if address not in set(proxies):
        return address
    told = [part.strip() for part in ",".join(request.headers.get_list("X-Forwarded-For")).split(",")]
    return told[-min(hops, len(told))] or address if hops else address
