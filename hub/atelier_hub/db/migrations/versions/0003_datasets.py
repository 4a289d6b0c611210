"""Datasets: versions with their files, uploads, and which runs use them"""

import sqlalchemy as sa
from alembic import op

from atelier_hub.db import base


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('dataset_uploads',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('wanted', sa.String(length=80), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('received', sa.BigInteger(), nullable=False),
    sa.Column('digest', sa.String(length=80), nullable=True),
    sa.Column('touched_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_dataset_uploads_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dataset_uploads'))
    )
    with op.batch_alter_table('dataset_uploads', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_dataset_uploads_digest'), ['digest'], unique=False)
        batch_op.create_index(batch_op.f('ix_dataset_uploads_project'), ['project'], unique=False)

    op.create_table('datasets',
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('tags', sa.JSON(), nullable=False),
    sa.Column('search_text', sa.Text(), nullable=False),
    sa.Column('numbers', sa.Integer(), nullable=False),
    sa.Column('latest', sa.Integer(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('changed_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['project'], ['projects.name'], name=op.f('fk_datasets_project_projects'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('project', 'name', name=op.f('pk_datasets'))
    )
    op.create_table('dataset_upload_pieces',
    sa.Column('upload', sa.String(length=40), nullable=False),
    sa.Column('start', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('place', sa.String(length=80), nullable=False),
    sa.ForeignKeyConstraint(['upload'], ['dataset_uploads.id'], name=op.f('fk_dataset_upload_pieces_upload_dataset_uploads'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('upload', 'start', name=op.f('pk_dataset_upload_pieces'))
    )
    op.create_table('dataset_versions',
    sa.Column('id', sa.String(length=20), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('dataset', sa.String(length=60), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('uri', sa.Text(), nullable=False),
    sa.Column('manifest', sa.String(length=80), nullable=False),
    sa.Column('files', sa.Integer(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['project', 'dataset'], ['datasets.project', 'datasets.name'], name='fk_dataset_versions_datasets', ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dataset_versions'))
    )
    with op.batch_alter_table('dataset_versions', schema=None) as batch_op:
        batch_op.create_index('ix_dataset_versions_dataset', ['project', 'dataset', 'number'], unique=True)

    op.create_table('dataset_files',
    sa.Column('version', sa.String(length=20), nullable=False),
    sa.Column('path', sa.String(length=1000), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('digest', sa.String(length=80), nullable=False),
    sa.ForeignKeyConstraint(['version'], ['dataset_versions.id'], name=op.f('fk_dataset_files_version_dataset_versions'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('version', 'path', name=op.f('pk_dataset_files'))
    )
    with op.batch_alter_table('dataset_files', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_dataset_files_digest'), ['digest'], unique=False)

    op.create_table('dataset_uses',
    sa.Column('version', sa.String(length=20), nullable=False),
    sa.Column('run', sa.String(length=20), nullable=False),
    sa.ForeignKeyConstraint(['version'], ['dataset_versions.id'], name=op.f('fk_dataset_uses_version_dataset_versions'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('version', 'run', name=op.f('pk_dataset_uses'))
    )
    # ### end Alembic commands ###


def downgrade() -> None:
    op.drop_table('dataset_uses')
    with op.batch_alter_table('dataset_files', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_dataset_files_digest'))

    op.drop_table('dataset_files')
    with op.batch_alter_table('dataset_versions', schema=None) as batch_op:
        batch_op.drop_index('ix_dataset_versions_dataset')

    op.drop_table('dataset_versions')
    op.drop_table('dataset_upload_pieces')
    op.drop_table('datasets')
    with op.batch_alter_table('dataset_uploads', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_dataset_uploads_project'))
        batch_op.drop_index(batch_op.f('ix_dataset_uploads_digest'))

    op.drop_table('dataset_uploads')
    # ### end Alembic commands ###
