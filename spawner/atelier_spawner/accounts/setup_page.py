"""The page behind a one-time link. It stands alone: it must show even where the hub's own templates were replaced."""

from __future__ import annotations

from jinja2 import Environment

from atelier_spawner.accounts.passwords import SHORTEST

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Atelier: choose a password</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 :root { color-scheme: light dark; --page: #f5f6f7; --card: #fff; --line: #8a9099; --accent: #b8500b; --bad: #a40000; }
 @media (prefers-color-scheme: dark) {
  :root { --page: #16191c; --card: #212529; --line: #7d858d; --accent: #f58a3c; --bad: #ff9c9c; }
 }
 body { font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 100vh; margin: 0;
        background: var(--page); }
 main { width: min(22rem, calc(100% - 6rem)); padding: 1.5rem 2rem 2rem; background: var(--card);
        border: 1px solid color-mix(in srgb, var(--line) 40%, transparent); border-radius: .5rem; }
 h1 { font-size: 1.5rem; margin: 0; } h1 + p { margin: 0 0 1.25rem; }
 label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
 input { padding: .5rem; margin: .3rem 0 1rem; border: 1px solid var(--line); border-radius: .25rem; }
 input[readonly] { background: transparent; border-style: dashed; }
 button { padding: .6rem; border: 0; border-radius: .25rem; background: var(--accent); color: var(--card);
          font-weight: 600; cursor: pointer; }
 :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
 a { color: var(--accent); } .problem { color: var(--bad); }
</style></head><body><main>
<h1>Atelier</h1>
<p>{% if name %}One step, and you are in.{% else %}This link cannot be used.{% endif %}</p>
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
  <button>Save and sign in</button>
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
