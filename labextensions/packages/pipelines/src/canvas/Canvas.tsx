import {
  Background,
  Connection,
  Controls,
  EdgeChange,
  FinalConnectionState,
  IsValidConnection,
  MiniMap,
  NodeChange,
  NodeTypes,
  Panel as FlowPanel,
  ReactFlow,
  ReactFlowProvider,
  ReactFlowState,
  useReactFlow,
  useStore
} from '@xyflow/react';
import { Notification } from '@jupyterlab/apputils';
import React, { RefObject, useCallback, useEffect, useMemo, useRef, useState } from 'react';

import { move } from '../document/edits';
import { IN_PORT, OUT_PORT, Place } from '../document/types';
import { useSignalValue } from '../model/react';
import { PipelineView } from '../model/view';
import { usePanel } from '../panels/services';
import { CommentNode } from './CommentNode';
import { connection, refusal, Wish } from './connect';
import { ConnectHint } from './ConnectHint';
import { useDrop } from './drop';
import { EmptyCanvas } from './EmptyCanvas';
import { FarEdges } from './FarEdges';
import { CanvasEdge, CanvasNode, Detail, Drawer } from './flow';
import { NODE_WIDTH } from './geometry';
import { SearchBox } from './SearchBox';
import { StepNode } from './StepNode';
import { useClipboard } from './useClipboard';
import { canvasWords } from './words';

const NODE_TYPES: NodeTypes = { step: StepNode, comment: CommentNode };
const MINIMAP_FROM = 12;
const FIT = { padding: 0.15, maxZoom: 1 };

const FAR = 0.45;
const FAR_OF_MANY = 0.5;
const MANY = 150;
const TINY = 0.18;
const NO_EDGES: CanvasEdge[] = [];

function detailOf(state: ReactFlowState): Detail {
  const zoom = state.transform[2];
  if (state.nodes.length > MANY && zoom < FAR_OF_MANY) {
    return 'many';
  }
  return zoom < FAR ? 'far' : 'near';
}

function isTiny(state: ReactFlowState): boolean {
  return state.transform[2] < TINY;
}

/** The steps of a pipeline and how they hang together. */
export function Canvas(): React.JSX.Element {
  return (
    <ReactFlowProvider>
      <Flow />
    </ReactFlowProvider>
  );
}

function wishOf(connection: Connection | CanvasEdge): Wish {
  return {
    source: connection.source,
    output: connection.sourceHandle ?? OUT_PORT,
    target: connection.target,
    input: connection.targetHandle ?? IN_PORT
  };
}

function useDrawn(view: PipelineView): {
  nodes: CanvasNode[];
  edges: CanvasEdge[];
  detail: Detail;
  setDragged: (places: ReadonlyMap<string, Place>) => void;
} {
  const drawer = useMemo(() => new Drawer(), [view]);
  const detail = useStore(detailOf);
  const document = useSignalValue(view.file.documentChanged, () => view.document);
  const selection = useSignalValue(view.changed, () => view.selection);
  const templates = useSignalValue(view.catalog.changed, () => view.catalog.templates);
  const [dragged, setDragged] = useState<ReadonlyMap<string, Place>>(new Map());
  const drawn = useMemo(
    () => drawer.nodes(document, view.catalog, selection, detail),
    [drawer, document, view, selection, templates, detail]
  );
  const edges = useMemo(
    () => (detail === 'many' ? NO_EDGES : drawer.edges(document, new Set(selection.edges))),
    [drawer, document, selection.edges, drawn, detail]
  );
  const nodes = useMemo(
    () =>
      dragged.size
        ? drawn.map(node =>
            dragged.has(node.id) ? { ...node, position: dragged.get(node.id) as Place } : node
          )
        : drawn,
    [drawn, dragged]
  );
  return { nodes, edges, detail, setDragged };
}

function useChanges(view: PipelineView, setDragged: (places: ReadonlyMap<string, Place>) => void) {
  const moving = useRef(new Map<string, Place>());
  const onNodesChange = useCallback(
    (changes: NodeChange<CanvasNode>[]) => {
      const done = new Map<string, Place>();
      let ids: Set<string> | null = null;
      for (const change of changes) {
        if (change.type === 'position' && change.position) {
          (change.dragging ? moving.current : done).set(change.id, change.position);
        } else if (change.type === 'select') {
          ids ??= new Set(view.selection.ids);
          ids[change.selected ? 'add' : 'delete'](change.id);
        }
      }
      if (ids) {
        view.selection = { ids, edges: view.selection.edges };
      }
      if (done.size) {
        moving.current.clear();
        setDragged(new Map());
        view.edit(move(done), `move ${[...done.keys()].join()}`);
      } else if (moving.current.size) {
        setDragged(new Map(moving.current));
      }
    },
    [view, setDragged]
  );
  const onEdgesChange = useCallback(
    (changes: EdgeChange<CanvasEdge>[]) => {
      const edges = new Set(view.selection.edges);
      for (const change of changes) {
        if (change.type === 'select') {
          edges[change.selected ? 'add' : 'delete'](change.id);
        }
      }
      view.selection = { ids: view.selection.ids, edges: [...edges] };
    },
    [view]
  );
  return { onNodesChange, onEdgesChange };
}

function useConnect(view: PipelineView) {
  const { trans } = usePanel();
  const isValid = useCallback<IsValidConnection<CanvasEdge>>(
    wanted => !view.readOnly && refusal(view, trans, wishOf(wanted as Connection)) === '',
    [view, trans]
  );
  const onConnect = useCallback((made: Connection) => view.edit(connection(view, wishOf(made))), [view]);
  const onConnectEnd = useCallback(
    (_event: unknown, state: FinalConnectionState) => {
      const wish = wishOfState(state);
      const why = wish && state.isValid === false ? refusal(view, trans, wish) : '';
      if (why) {
        Notification.warning(why, { autoClose: 5000 });
      }
    },
    [view, trans]
  );
  return { isValid, onConnect, onConnectEnd };
}

/** What a person who drags an edge wants, whichever end they began at; null while they are nowhere. */
export function wishOfState(state: Pick<FinalConnectionState, 'fromHandle' | 'toHandle'>): Wish | null {
  const { fromHandle: from, toHandle: to } = state;
  if (!from || !to || from.type === to.type) {
    return null;
  }
  const [source, target] = from.type === 'source' ? [from, to] : [to, from];
  return {
    source: source.nodeId,
    output: source.id ?? OUT_PORT,
    target: target.nodeId,
    input: target.id ?? IN_PORT
  };
}

function useShow(view: PipelineView): void {
  const flow = useReactFlow<CanvasNode, CanvasEdge>();
  useEffect(() => {
    const show = (_view: unknown, ids: readonly string[]): void => {
      if (!flow.getNodes().length) {
        return; // React Flow would wait for the first step, and take it from where it was dropped
      }
      const nodes = ids.length ? ids.map(id => ({ id })) : undefined;
      void flow.fitView({ ...FIT, nodes, duration: 200, minZoom: nodes ? 0.6 : undefined });
    };
    view.showAsked.connect(show);
    return () => void view.showAsked.disconnect(show);
  }, [flow, view]);
}

/** The canvas keeps the keyboard when the step that had it is deleted. */
function useKeptFocus(root: RefObject<HTMLElement>, nodes: CanvasNode[]) {
  const inside = useRef(false);
  useEffect(() => {
    // React Flow takes a deleted step away a little later than the document does.
    const timer = window.setTimeout(() => {
      if (inside.current && document.activeElement === document.body) {
        root.current?.focus({ preventScroll: true });
      }
    }, 50);
    return () => window.clearTimeout(timer);
  }, [root, nodes]);
  return useMemo(
    () => ({
      onFocus: () => {
        inside.current = true;
      },
      onBlur: (event: React.FocusEvent) => {
        inside.current = event.relatedTarget === null && inside.current;
      }
    }),
    []
  );
}

/** What was clicked gets the keyboard, which dragging takes away from it. */
function focusClicked(event: React.MouseEvent<HTMLElement>): void {
  const target = event.target as HTMLElement;
  if (!target.closest('input, textarea, button')) {
    const focused = target.closest<HTMLElement>('.react-flow__node') ?? event.currentTarget;
    focused.focus({ preventScroll: true });
  }
}

function Flow(): React.JSX.Element {
  const { view, trans, settings } = usePanel();
  const root = useRef<HTMLDivElement>(null);
  const { snapToGrid, overview } = useSignalValue(settings.changed, () => settings.choices);
  const { nodes, edges, detail, setDragged } = useDrawn(view);
  const tiny = useStore(isTiny);
  const [words] = useState(() => canvasWords(trans));
  // Else the first step would not stay where it was dropped.
  const [fitted] = useState(() => view.document.nodes.length > 0);
  const changes = useChanges(view, setDragged);
  const { isValid, onConnect, onConnectEnd } = useConnect(view);
  const readOnly = useSignalValue(view.changed, () => view.readOnly);
  useShow(view);
  useDrop(root, view);
  const clipboard = useClipboard(view);
  return (
    <div
      ref={root}
      className={tiny ? 'at-Canvas at-mod-tiny' : 'at-Canvas'}
      tabIndex={-1}
      aria-label={trans.__('Pipeline canvas')}
      role="region"
      onClick={focusClicked}
      {...useKeptFocus(root, nodes)}
      {...clipboard}
    >
      <ReactFlow<CanvasNode, CanvasEdge>
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        onNodesChange={changes.onNodesChange}
        onEdgesChange={changes.onEdgesChange}
        onConnect={onConnect}
        onConnectEnd={onConnectEnd}
        isValidConnection={isValid}
        onNodeDoubleClick={(_event, node) => node.type === 'step' && view.goTo({ node: node.id, field: '' })}
        nodesDraggable={!readOnly}
        nodesConnectable={!readOnly}
        deleteKeyCode={null}
        multiSelectionKeyCode={['Shift', 'Control', 'Meta']}
        onlyRenderVisibleElements
        minZoom={0.05}
        maxZoom={2}
        snapToGrid={snapToGrid}
        snapGrid={SNAP}
        fitView={fitted}
        fitViewOptions={FIT}
        defaultEdgeOptions={EDGE_OPTIONS}
        proOptions={ATTRIBUTION}
        ariaLabelConfig={words}
        connectionRadius={24}
      >
        {detail === 'many' && <FarEdges nodes={nodes} />}
        <Background gap={20} />
        <Controls showInteractive={false} />
        {(overview === 'always' || (overview === 'large' && nodes.length >= MINIMAP_FROM)) && (
          <MiniMap pannable zoomable nodeStrokeWidth={NODE_WIDTH / 40} />
        )}
        <FlowPanel position="top-center">
          <ConnectHint />
          <SearchBox />
        </FlowPanel>
        {nodes.length === 0 && <EmptyCanvas />}
      </ReactFlow>
    </div>
  );
}

const SNAP: [number, number] = [10, 10];
const EDGE_OPTIONS = { interactionWidth: 14 };
const ATTRIBUTION = { hideAttribution: false };
