"""Snapshots, revisions, runs, steps, attempts and artifacts"""

import sqlalchemy as sa
from alembic import op

from atelier_hub.db import base


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('attempts',
    sa.Column('id', sa.String(length=63), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('subject', sa.String(length=63), nullable=False),
    sa.Column('step', sa.String(length=200), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('backend', sa.String(length=63), nullable=False),
    sa.Column('wanted', sa.String(length=10), nullable=False),
    sa.Column('handle', sa.JSON(), nullable=False),
    sa.Column('stop_reason', sa.String(length=40), nullable=False),
    sa.Column('grace', sa.Double(), nullable=False),
    sa.Column('not_before', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('nonce', sa.String(length=32), nullable=False),
    sa.Column('token_sha256', sa.String(length=64), nullable=False),
    sa.Column('exit_code', sa.Integer(), nullable=True),
    sa.Column('replicas', sa.Integer(), nullable=False),
    sa.Column('output_values', sa.JSON(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('started_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('ended_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('cleaned', sa.Boolean(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('observed_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_attempts_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attempts')),
    sa.UniqueConstraint('token_sha256', name=op.f('uq_attempts_token_sha256'))
    )
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.create_index('ix_attempts_open', ['cleaned', 'backend'], unique=False)
        batch_op.create_index(batch_op.f('ix_attempts_state'), ['state'], unique=False)
        batch_op.create_index('ix_attempts_subject', ['subject', 'step'], unique=False)

    op.create_table('revisions',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('document', sa.JSON(), nullable=False),
    sa.Column('snapshot', sa.String(length=80), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_revisions_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_revisions'))
    )
    with op.batch_alter_table('revisions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_revisions_project'), ['project'], unique=False)

    op.create_table('snapshots',
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('digest', sa.String(length=80), nullable=False),
    sa.Column('blob', sa.String(length=80), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('files', sa.JSON(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_snapshots_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('project', 'digest', name=op.f('pk_snapshots'))
    )
    op.create_table('artifacts',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('subject', sa.String(length=63), nullable=False),
    sa.Column('step', sa.String(length=200), nullable=False),
    sa.Column('attempt', sa.String(length=63), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('type', sa.String(length=60), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('digest', sa.String(length=80), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['attempt'], ['attempts.id'], name=op.f('fk_artifacts_attempt_attempts'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_artifacts_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_artifacts'))
    )
    with op.batch_alter_table('artifacts', schema=None) as batch_op:
        batch_op.create_index('ix_artifacts_subject', ['subject', 'step'], unique=False)
        batch_op.create_index('uq_artifact', ['attempt', 'name'], unique=True)

    op.create_table('attempt_claims',
    sa.Column('attempt', sa.String(length=63), nullable=False),
    sa.Column('replica', sa.String(length=80), nullable=False),
    sa.Column('uid', sa.String(length=80), nullable=False),
    sa.ForeignKeyConstraint(['attempt'], ['attempts.id'], name=op.f('fk_attempt_claims_attempt_attempts'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('attempt', 'replica', name=op.f('pk_attempt_claims'))
    )
    op.create_table('attempt_reports',
    sa.Column('attempt', sa.String(length=63), nullable=False),
    sa.Column('replica', sa.String(length=80), nullable=False),
    sa.Column('exit_code', sa.Integer(), nullable=True),
    sa.Column('reason', sa.String(length=40), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('output_values', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['attempt'], ['attempts.id'], name=op.f('fk_attempt_reports_attempt_attempts'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('attempt', 'replica', name=op.f('pk_attempt_reports'))
    )
    op.create_table('runs',
    sa.Column('id', sa.String(length=20), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('revision', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('backend', sa.String(length=63), nullable=False),
    sa.Column('wanted', sa.String(length=10), nullable=False),
    sa.Column('plan', sa.Text(), nullable=False),
    sa.Column('parameters', sa.JSON(), nullable=False),
    sa.Column('timeout', sa.Double(), nullable=False),
    sa.Column('log_length', sa.Integer(), nullable=False),
    sa.Column('idempotency_key', sa.String(length=255), nullable=True),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_us', sa.BigInteger(), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('started_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('ended_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('observed_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_runs_project_projects'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['revision'], ['revisions.id'], name=op.f('fk_runs_revision_revisions'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_runs'))
    )
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.create_index('ix_runs_project_created', ['project', 'created_us', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_runs_state'), ['state'], unique=False)
        batch_op.create_index('uq_runs_key', ['project', 'idempotency_key'], unique=True)

    op.create_table('run_log',
    sa.Column('run', sa.String(length=20), nullable=False),
    sa.Column('seq', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('data', sa.JSON(), nullable=False),
    sa.Column('at', base.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['run'], ['runs.id'], name=op.f('fk_run_log_run_runs'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run', 'seq', name=op.f('pk_run_log'))
    )
    op.create_table('steps',
    sa.Column('id', sa.String(length=255), nullable=False),
    sa.Column('run', sa.String(length=20), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('label', sa.String(length=255), nullable=False),
    sa.Column('node', sa.String(length=255), nullable=False),
    sa.Column('needs', sa.JSON(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('exit_code', sa.Integer(), nullable=True),
    sa.Column('started_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('ended_at', base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('observed_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['run'], ['runs.id'], name=op.f('fk_steps_run_runs'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_steps'))
    )
    with op.batch_alter_table('steps', schema=None) as batch_op:
        batch_op.create_index('ix_steps_run_position', ['run', 'position'], unique=False)
        batch_op.create_index(batch_op.f('ix_steps_state'), ['state'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('steps', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_steps_state'))
        batch_op.drop_index('ix_steps_run_position')

    op.drop_table('steps')
    op.drop_table('run_log')
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_index('uq_runs_key')
        batch_op.drop_index(batch_op.f('ix_runs_state'))
        batch_op.drop_index('ix_runs_project_created')

    op.drop_table('runs')
    op.drop_table('attempt_reports')
    op.drop_table('attempt_claims')
    with op.batch_alter_table('artifacts', schema=None) as batch_op:
        batch_op.drop_index('uq_artifact')
        batch_op.drop_index('ix_artifacts_subject')

    op.drop_table('artifacts')
    op.drop_table('snapshots')
    with op.batch_alter_table('revisions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_revisions_project'))

    op.drop_table('revisions')
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.drop_index('ix_attempts_subject')
        batch_op.drop_index(batch_op.f('ix_attempts_state'))
        batch_op.drop_index('ix_attempts_open')

    op.drop_table('attempts')
