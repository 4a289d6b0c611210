"""Data that nobody has to fetch: made by a fixed rule, with the texts and gaps that real data have."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd

SHOPPERS = 400
CITIES = ("Bonn", "Lagos", "Lima", "Pune", "Quito")


def shoppers() -> pd.DataFrame:
    """Customers of a shop and whether they bought: who is older, on a better plan or visits often rather does."""
    dice = random.Random(5)
    return pd.DataFrame([_shopper(dice) for _ in range(SHOPPERS)])


def _shopper(dice: random.Random) -> dict[str, Any]:
    age, visits = dice.randint(18, 80), dice.randint(0, 30)
    income = round(dice.gauss(3000, 900), 2)
    plan = dice.choices(("basic", "plus", "pro"), (6, 3, 1))[0]
    wish = (age - 45) / 20 + (visits - 12) / 8 + {"basic": -0.6, "plus": 0.6, "pro": 1.8}[plan] + dice.gauss(0, 0.7)
    return {
        "age": None if dice.random() < 0.08 else age,
        "income": None if dice.random() < 0.12 else income,
        "city": None if dice.random() < 0.1 else dice.choice(CITIES),
        "plan": plan,
        "visits": visits,
        "bought": "yes" if wish > 0 else "no",
    }
