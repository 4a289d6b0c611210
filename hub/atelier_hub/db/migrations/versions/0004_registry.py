"""Registry: models, versions with their files, aliases, approvals, and which runs MLflow knows"""

import sqlalchemy as sa
from alembic import op

from atelier_hub.db import base


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('tracking_workspaces',
    sa.Column('name', sa.String(length=63), nullable=False),
    sa.Column('nonce', sa.String(length=32), nullable=False),
    sa.Column('removed', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_tracking_workspaces'))
    )
    op.create_table('models',
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('latest', sa.Integer(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('changed_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_models_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('project', 'name', name=op.f('pk_models'))
    )
    op.create_table('tracked_runs',
    sa.Column('run', sa.String(length=20), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('mlflow_run', sa.String(length=64), nullable=False),
    sa.Column('told', sa.Integer(), nullable=False),
    sa.Column('over', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_tracked_runs_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run', name=op.f('pk_tracked_runs'))
    )
    with op.batch_alter_table('tracked_runs', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_tracked_runs_over'), ['over'], unique=False)
        batch_op.create_index(batch_op.f('ix_tracked_runs_project'), ['project'], unique=False)
    op.create_table('model_aliases',
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('model', sa.String(length=255), nullable=False),
    sa.Column('alias', sa.String(length=255), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('set_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('set_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['project', 'model'], ['models.project', 'models.name'], name='fk_model_aliases_models', ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('project', 'model', 'alias', name=op.f('pk_model_aliases'))
    )
    op.create_table('model_versions',
    sa.Column('id', sa.String(length=20), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('model', sa.String(length=255), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('manifest', sa.String(length=80), nullable=False),
    sa.Column('files', sa.Integer(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('framework', sa.String(length=60), nullable=False),
    sa.Column('flavors', sa.JSON(), nullable=False),
    sa.Column('signature', sa.JSON(), nullable=False),
    sa.Column('metrics', sa.JSON(), nullable=False),
    sa.Column('parameters', sa.JSON(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('run', sa.String(length=20), nullable=False),
    sa.Column('step', sa.String(length=200), nullable=False),
    sa.Column('output', sa.String(length=200), nullable=False),
    sa.Column('pipeline', sa.String(length=255), nullable=False),
    sa.Column('revision', sa.String(length=40), nullable=False),
    sa.Column('snapshot', sa.String(length=80), nullable=False),
    sa.Column('datasets', sa.JSON(), nullable=False),
    sa.Column('mlflow_run', sa.String(length=64), nullable=False),
    sa.Column('mlflow_model', sa.String(length=64), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['project', 'model'], ['models.project', 'models.name'], name='fk_model_versions_models', ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_model_versions'))
    )
    with op.batch_alter_table('model_versions', schema=None) as batch_op:
        batch_op.create_index('ix_model_versions_manifest', ['project', 'model', 'manifest'], unique=False)
        batch_op.create_index('ix_model_versions_model', ['project', 'model', 'number'], unique=True)
        batch_op.create_index('ix_model_versions_run', ['run'], unique=False)
        batch_op.create_index(batch_op.f('ix_model_versions_state'), ['state'], unique=False)
    op.create_table('model_approvals',
    sa.Column('version', sa.String(length=20), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('approved_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('approved_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['version'], ['model_versions.id'], name=op.f('fk_model_approvals_version_model_versions'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('version', name=op.f('pk_model_approvals'))
    )
    op.create_table('model_files',
    sa.Column('version', sa.String(length=20), nullable=False),
    sa.Column('path', sa.String(length=1000), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('digest', sa.String(length=80), nullable=False),
    sa.ForeignKeyConstraint(['version'], ['model_versions.id'], name=op.f('fk_model_files_version_model_versions'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('version', 'path', name=op.f('pk_model_files'))
    )
    with op.batch_alter_table('model_files', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_model_files_digest'), ['digest'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('model_files', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_model_files_digest'))
    op.drop_table('model_files')
    op.drop_table('model_approvals')
    with op.batch_alter_table('model_versions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_model_versions_state'))
        batch_op.drop_index('ix_model_versions_run')
        batch_op.drop_index('ix_model_versions_model')
        batch_op.drop_index('ix_model_versions_manifest')
    op.drop_table('model_versions')
    op.drop_table('model_aliases')
    with op.batch_alter_table('tracked_runs', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_tracked_runs_project'))
        batch_op.drop_index(batch_op.f('ix_tracked_runs_over'))
    op.drop_table('tracked_runs')
    op.drop_table('models')
    op.drop_table('tracking_workspaces')
