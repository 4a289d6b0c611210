"""Deleted projects whose files are still to be removed"""

import sqlalchemy as sa
from alembic import op

from atelier_hub.db import base


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('removed_projects',
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('at', base.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_removed_projects'))
    )


def downgrade() -> None:
    op.drop_table('removed_projects')
