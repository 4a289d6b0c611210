"""The page behind a one-time link. It stands alone: it must show even where the hub's own templates were replaced."""

from __future__ import annotations

from jinja2 import Environment

from atelier_spawner.accounts.passwords import SHORTEST

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Atelier: choose a password</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body { font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0 1rem; }
 main { width: min(24rem, 100%); } label, input { display: block; width: 100%; box-sizing: border-box; }
 input { font: inherit; padding: .5rem; margin: .3rem 0 1rem; } .problem { color: #a40000; }
</style></head><body><main>
<h1>Atelier</h1>
{% if problem %}<p class="problem" role="alert">{{ problem }}</p>{% endif %}
{% if name %}
<form method="post" action="{{ action }}">
  <input type="hidden" name="_xsrf" value="{{ xsrf }}">
  <input type="hidden" name="token" value="{{ token }}">
  <label for="name">Your account</label>
  <input id="name" name="username" autocomplete="username" value="{{ name }}" readonly>
  <label for="password">Choose a password ({{ shortest }} characters or more)</label>
  <input id="password" name="password" type="password" autocomplete="new-password" minlength="{{ shortest }}"
         required autofocus>
  <input type="submit" value="Save and sign in">
</form>
{% else %}
<p><a href="{{ login }}">Sign in</a> with your password, or ask for a new link:
<code>atelier user link NAME</code>.</p>
{% endif %}
</main></body></html>
"""
_TEMPLATE = Environment(autoescape=True).from_string(_PAGE)


def page(name: str | None, token: str, problem: str, *, action: str, xsrf: str, login: str) -> str:
    """The form for the account `name`, or what to do when the link does not work."""
    return _TEMPLATE.render(
        name=name, token=token, problem=problem, action=action, xsrf=xsrf, login=login, shortest=SHORTEST
    )
