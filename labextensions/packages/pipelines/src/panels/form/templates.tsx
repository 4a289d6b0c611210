import { IconButton, TextButton } from '@atelier/ui';
import { addIcon, deleteIcon, moveDownIcon, moveUpIcon } from '@jupyterlab/ui-components';
import {
  ArrayFieldTemplateItemType,
  ArrayFieldTemplateProps,
  canExpand,
  ObjectFieldTemplateProps
} from '@rjsf/utils';
import React from 'react';

import { usePanel } from '../services';

/** The items of a list, each with buttons to move and remove it. */
export function ListTemplate(props: ArrayFieldTemplateProps): React.JSX.Element {
  const { trans } = usePanel();
  const fixed = props.readonly || props.disabled;
  return (
    <div className="at-List" role="group" aria-label={props.title}>
      {props.items.map(item => (
        <ListItem key={item.key} item={item} fixed={!!fixed} several={props.items.length > 1} />
      ))}
      {props.canAdd && !fixed && (
        <TextButton icon={addIcon} label={trans.__('Add')} onClick={() => props.onAddClick()} />
      )}
    </div>
  );
}

function ListItem(props: {
  item: ArrayFieldTemplateItemType;
  fixed: boolean;
  several: boolean;
}): React.JSX.Element {
  const { trans } = usePanel();
  const { item, fixed } = props;
  const number = item.index + 1;
  const act = (work: (event?: unknown) => void) => () => work();
  return (
    <div className="at-List-item" data-index={item.index}>
      <div className="at-List-value">{item.children}</div>
      {!fixed && (
        <div className="at-List-buttons">
          {props.several && (
            <>
              <IconButton
                icon={moveUpIcon}
                label={trans.__('Move item %1 up', number)}
                disabled={!item.hasMoveUp}
                onClick={act(item.onReorderClick(item.index, item.index - 1))}
              />
              <IconButton
                icon={moveDownIcon}
                label={trans.__('Move item %1 down', number)}
                disabled={!item.hasMoveDown}
                onClick={act(item.onReorderClick(item.index, item.index + 1))}
              />
            </>
          )}
          <IconButton
            icon={deleteIcon}
            label={trans.__('Remove item %1', number)}
            onClick={act(item.onDropIndexClick(item.index))}
          />
        </div>
      )}
    </div>
  );
}

/** The fields of an object; one that takes any name has a button for more. */
export function ObjectTemplate(props: ObjectFieldTemplateProps): React.JSX.Element {
  const { trans } = usePanel();
  const { schema, uiSchema, formData, idSchema } = props;
  const inner = idSchema.$id.includes('_');
  const grows = canExpand(schema, uiSchema, formData) && !props.readonly && !props.disabled;
  return (
    <div className={inner ? 'at-Object' : ''} role={inner ? 'group' : undefined} aria-label={props.title}>
      {props.properties.map(property => property.content)}
      {grows && (
        <TextButton icon={addIcon} label={trans.__('Add')} onClick={() => props.onAddClick(schema)()} />
      )}
    </div>
  );
}
