"""The file of accounts, passwords and links."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from atelier_core.errors import AtelierError, Conflict, Forbidden, Invalid, NotFound
from atelier_spawner.accounts import store
from atelier_spawner.accounts.passwords import hash_password, matches
from atelier_spawner.accounts.store import Accounts
from atelier_spawner.accounts.throttle import Throttle

PASSWORD = "correct horse battery"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path / "hub" / "accounts.sqlite")
    made.add("ada", admin=True)
    return made


def test_account_without_password_cannot_sign_in(accounts: Accounts) -> None:
    assert not accounts.verify("ada", "") and not accounts.verify("nobody", "")
    assert accounts.get("ada") and not accounts.get("ada").ready  # type: ignore[union-attr]


def test_password_is_never_stored(accounts: Accounts) -> None:
    accounts.set_password("ada", PASSWORD)
    assert accounts.verify("ada", PASSWORD) and not accounts.verify("ada", PASSWORD + "x")
    assert PASSWORD.encode() not in accounts.path.read_bytes()
    assert accounts.path.stat().st_mode & 0o077 == 0


def test_link_is_stored_as_a_hash_and_works_once(accounts: Accounts) -> None:
    token = accounts.new_link("ada")
    assert token.encode() not in accounts.path.read_bytes()
    assert accounts.redeem(token, PASSWORD) == "ada"
    with pytest.raises(NotFound, match="used already"):
        accounts.redeem(token, PASSWORD)


def test_a_wrong_link_costs_no_hash(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second and 32 MiB for each guess would be a gift to who wants to stop the hub."""
    hashed: list[str] = []

    def counted(password: str) -> str:
        hashed.append(password)
        return hash_password(password)

    monkeypatch.setattr(store, "hash_password", counted)
    token = accounts.new_link("ada")
    for guess in ("", "guess", token[:-1]):
        with pytest.raises(NotFound, match="used already"):
            accounts.redeem(guess, PASSWORD)
    assert hashed == []
    assert accounts.redeem(token, PASSWORD) == "ada" and hashed == [PASSWORD]


def test_old_and_replaced_links_do_not_work(accounts: Accounts) -> None:
    first = accounts.new_link("ada")
    accounts.new_link("ada")
    expired = Accounts(accounts.path).new_link("ada", seconds=-1)
    for token in (first, expired, "", "guess"):
        assert accounts.whose_link(token) is None


def test_link_redeemed_by_many_at_once_works_once(accounts: Accounts) -> None:
    token = accounts.new_link("ada")
    outcomes: list[str] = []

    def redeem(number: int) -> None:
        try:
            outcomes.append(accounts.redeem(token, f"{PASSWORD} {number}"))
        except NotFound:
            outcomes.append("refused")

    threads = [threading.Thread(target=redeem, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ada", *["refused"] * 5]


def test_second_account_where_only_one_can_be(accounts: Accounts) -> None:
    with pytest.raises(Forbidden, match="beside 'ada': no root"):
        accounts.add("bob", only_one="no root")
    accounts.add("bob")
    assert [account.name for account in accounts.all()] == ["ada", "bob"]


def test_refused_names_and_passwords(accounts: Accounts) -> None:
    with pytest.raises(Conflict):
        accounts.add("ada")
    for name in ("Ada", "a b", "../x", "", "x" * 31):
        with pytest.raises(Invalid):
            accounts.add(name)
    for password in ("short", "x" * 2000):
        with pytest.raises(AtelierError, match="characters"):
            accounts.set_password("ada", password)
    with pytest.raises(NotFound):
        accounts.set_password("nobody", PASSWORD)


def test_the_last_administrator_stays(accounts: Accounts) -> None:
    accounts.add("bob")
    with pytest.raises(Conflict, match="the last") as refused:
        accounts.remove("ada")
    assert refused.value.hint and accounts.get("ada")
    accounts.remove("bob")


def test_removed_account_loses_its_links(accounts: Accounts) -> None:
    accounts.add("eva", admin=True)
    token = accounts.new_link("ada")
    accounts.remove("ada")
    assert accounts.whose_link(token) is None
    with sqlite3.connect(accounts.path) as db:
        assert db.execute("SELECT COUNT(*) FROM link").fetchone() == (0,)


def test_hashes_differ_for_the_same_password() -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first != second and matches(PASSWORD, first) and matches(PASSWORD, second)


def test_throttle_lets_some_through_then_doubles_and_forgets() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(5):
        assert throttle.wait("k") == 0
        throttle.failed("k")
    waits = []
    for _ in range(3):
        waits.append(throttle.wait("k"))
        now[0] += waits[-1]
        throttle.failed("k")
    assert waits == [1, 2, 4] and throttle.wait("other") == 0
    throttle.succeeded("k")
    assert throttle.wait("k") == 0
