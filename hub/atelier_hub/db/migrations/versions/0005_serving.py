"""Services: revisions, replicas, keys, and what the gateway counted"""

import sqlalchemy as sa
from alembic import op

from atelier_hub.db import base


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('service_routes',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('generation', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_service_routes'))
    )
    op.create_table('service_keys',
    sa.Column('id', sa.String(length=20), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('services', sa.JSON(), nullable=False),
    sa.Column('expires_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_service_keys_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_service_keys')),
    sa.UniqueConstraint('sha256', name=op.f('uq_service_keys_sha256'))
    )
    with op.batch_alter_table('service_keys', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_service_keys_project'), ['project'], unique=False)

    op.create_table('services',
    sa.Column('id', sa.String(length=20), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=40), nullable=False),
    sa.Column('backend', sa.String(length=63), nullable=False),
    sa.Column('wanted', sa.String(length=10), nullable=False),
    sa.Column('sleeping', sa.Boolean(), nullable=False),
    sa.Column('woken_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('changed_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('observed_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_services_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_services'))
    )
    with op.batch_alter_table('services', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_services_state'), ['state'], unique=False)
        batch_op.create_index('uq_services_name', ['project', 'name'], unique=True)

    op.create_table('service_counts',
    sa.Column('service', sa.String(length=20), nullable=False),
    sa.Column('revision', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('since', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('figures', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['service'], ['services.id'], name=op.f('fk_service_counts_service_services'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('service', 'revision', name=op.f('pk_service_counts'))
    )
    op.create_table('service_figures',
    sa.Column('service', sa.String(length=20), nullable=False),
    sa.Column('revision', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('figures', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['service'], ['services.id'], name=op.f('fk_service_figures_service_services'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('service', 'revision', 'at', name=op.f('pk_service_figures'))
    )
    op.create_table('service_revisions',
    sa.Column('service', sa.String(length=20), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('definition', sa.JSON(), nullable=False),
    sa.Column('plan', sa.JSON(), nullable=False),
    sa.Column('source', sa.String(length=500), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('place', sa.String(length=10), nullable=False),
    sa.Column('weight', sa.Double(), nullable=False),
    sa.Column('replicas', sa.Integer(), nullable=False),
    sa.Column('minimum', sa.Integer(), nullable=False),
    sa.Column('maximum', sa.Integer(), nullable=False),
    sa.Column('began_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('ready_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('idempotency_key', sa.String(length=200), nullable=True),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['service'], ['services.id'], name=op.f('fk_service_revisions_service_services'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('service', 'number', name=op.f('pk_service_revisions'))
    )
    with op.batch_alter_table('service_revisions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_service_revisions_source'), ['source'], unique=False)
        batch_op.create_index('uq_service_revisions_key', ['service', 'idempotency_key'], unique=True)

    op.create_table('service_replicas',
    sa.Column('attempt', sa.String(length=63), nullable=False),
    sa.Column('service', sa.String(length=20), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('ready', sa.Boolean(), nullable=False),
    sa.Column('url', sa.String(length=255), nullable=False),
    sa.Column('ready_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('drain_until', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('words', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['attempt'], ['attempts.id'], name=op.f('fk_service_replicas_attempt_attempts'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['service', 'revision'], ['service_revisions.service', 'service_revisions.number'], name='fk_service_replicas_revisions', ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('attempt', name=op.f('pk_service_replicas'))
    )
    with op.batch_alter_table('service_replicas', schema=None) as batch_op:
        batch_op.create_index('ix_service_replicas_revision', ['service', 'revision'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('service_replicas', schema=None) as batch_op:
        batch_op.drop_index('ix_service_replicas_revision')

    op.drop_table('service_replicas')
    with op.batch_alter_table('service_revisions', schema=None) as batch_op:
        batch_op.drop_index('uq_service_revisions_key')
        batch_op.drop_index(batch_op.f('ix_service_revisions_source'))

    op.drop_table('service_revisions')
    op.drop_table('service_figures')
    op.drop_table('service_counts')
    with op.batch_alter_table('services', schema=None) as batch_op:
        batch_op.drop_index('uq_services_name')
        batch_op.drop_index(batch_op.f('ix_services_state'))

    op.drop_table('services')
    with op.batch_alter_table('service_keys', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_service_keys_project'))

    op.drop_table('service_keys')
    op.drop_table('service_routes')
