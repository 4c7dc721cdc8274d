/** A JSON value as a tree, whose fields can become columns. */

import { useMemo, useState } from 'preact/hooks';

import type { ListController } from '../list/controller';
import { formatCount } from '../preferences/format';
import { Icon } from '../ui/icon';
import { DEEPEST, FIRST_PARTS, type Line, MOST_LINES, type Opened, outline } from './outline';
import { isPointer } from './pointer';

interface Props {
  readonly list: ListController;
  readonly value: unknown;
}

export function JsonTree({ list, value }: Props) {
  const [opened, setOpened] = useState<Opened>({ toggled: new Set(), shown: new Map() });
  const lines = useMemo(() => outline(value, opened), [value, opened]);
  const columns = list.columns.value;
  const toggle = (pointer: string) => {
    const toggled = new Set(opened.toggled);
    if (!toggled.delete(pointer)) toggled.add(pointer);
    setOpened({ ...opened, toggled });
  };
  const showMore = (pointer: string) => {
    const shown = (opened.shown.get(pointer) ?? FIRST_PARTS) * 4;
    setOpened({ ...opened, shown: new Map(opened.shown).set(pointer, shown) });
  };
  return (
    <ul class="tree" data-testid="json-tree" data-lines={lines.length}>
      {lines.map((line, number) => (
        <li
          key={`${line.pointer} ${line.left ?? ''} ${number}`}
          class="tree-line"
          data-testid="json-line"
          data-pointer={line.pointer}
          ref={(element) => element?.style.setProperty('--depth', String(Math.min(line.depth, DEEPEST)))}
        >
          <TreeLine
            line={line}
            isColumn={columns.includes(line.pointer)}
            onToggle={toggle}
            onMore={showMore}
            onColumn={(pointer) => list.toggleColumn(pointer)}
          />
        </li>
      ))}
    </ul>
  );
}

interface LineProps {
  readonly line: Line;
  readonly isColumn: boolean;
  readonly onToggle: (pointer: string) => void;
  readonly onMore: (pointer: string) => void;
  readonly onColumn: (pointer: string) => void;
}

function TreeLine({ line, isColumn, onToggle, onMore, onColumn }: LineProps) {
  const { kind, name, pointer, text, parts, open, left } = line;
  if (left === 'more') {
    return (
      <button type="button" class="tree-more" data-testid="json-more" onClick={() => onMore(pointer)}>
        {formatCount(parts)} more
      </button>
    );
  }
  if (left) {
    return (
      <span class="is-dim" data-testid="json-bound">
        {left === 'depth'
          ? `Deeper than ${DEEPEST} levels: look at the text`
          : `${formatCount(parts)} more: only ${formatCount(MOST_LINES)} lines are shown`}
      </span>
    );
  }
  const canOpen = parts > 0;
  const label = name ?? 'value';
  return (
    <>
      {canOpen ? (
        <button
          type="button"
          class={`tree-toggle${open ? ' is-open' : ''}`}
          aria-expanded={open}
          aria-label={`${label}, ${parts} parts`}
          data-testid="json-toggle"
          onClick={() => onToggle(pointer)}
        >
          <Icon name="chevron" />
        </button>
      ) : (
        <span class="tree-toggle" />
      )}
      {name !== null && <span class="tree-name">{name}</span>}
      <span class={`tree-value is-${kind}`}>{text}</span>
      {isPointer(pointer) && (
        <button
          type="button"
          class={`tree-column${isColumn ? ' is-on' : ''}`}
          aria-pressed={isColumn}
          aria-label={isColumn ? `Remove the column ${label}` : `Make ${label} a column`}
          title={isColumn ? 'Remove the column' : 'Make it a column'}
          data-testid="promote"
          onClick={() => onColumn(pointer)}
        >
          <Icon name={isColumn ? 'minus' : 'columns'} />
        </button>
      )}
    </>
  );
}
