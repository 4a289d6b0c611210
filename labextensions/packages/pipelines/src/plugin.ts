import { IAtelier } from '@atelier/api';
import { DOMAIN, membershipOf, translateSettings } from '@atelier/ui';
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { CommandToolbarButton, ICommandPalette, Toolbar, WidgetTracker } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { DocumentRegistry } from '@jupyterlab/docregistry';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { IMainMenu } from '@jupyterlab/mainmenu';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { addViewCommands, CommandIDs, Front } from './commands';
import { addCreate, addFileCommands } from './files';
import { pipelineIcon } from './icons';
import { TemplateCatalog } from './model/catalog';
import { PipelineFileFactory } from './model/file';
import { PipelineSettings, settingTexts } from './model/settings';
import { PipelineView } from './model/view';
import { Services } from './panels/services';
import { addRevisions } from './revision';
import { PipelineContent, PipelineWidget, PipelineWidgetFactory } from './widget';

const FACTORY = 'Pipeline';
const FILE_TYPE = 'atelier-pipeline';

/** The canvas: `.pipeline` files open, change, run and show how they go. */
export const pipelines: JupyterFrontEndPlugin<void> = {
  id: '@atelier/lab:pipelines',
  description: 'Opens pipelines on a canvas, runs them, and shows how the steps go.',
  autoStart: true,
  requires: [IAtelier, IDocumentManager, IEditorServices, IRenderMimeRegistry, ITranslator],
  optional: [ILayoutRestorer, ICommandPalette, ILauncher, IFileBrowserFactory, ISettingRegistry, IMainMenu],
  activate: (
    app: JupyterFrontEnd,
    atelier: IAtelier,
    documents: IDocumentManager,
    editors: IEditorServices,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    browser: IFileBrowserFactory | null,
    registry: ISettingRegistry | null,
    menu: IMainMenu | null
  ): void => {
    const trans = translator.load(DOMAIN);
    const { commands } = app;
    const settings = new PipelineSettings();
    if (registry) {
      followSettings(app, registry, settings, trans);
    }
    const services: Services = { trans, translator, editors, rendermime, commands, documents, settings };
    const catalog = new TemplateCatalog(atelier, trans);
    const tracker = new WidgetTracker<PipelineWidget>({ namespace: 'atelier-pipeline' });
    const front: Front = { commands, trans, services, view: () => frontView(app, tracker) };
    addViewCommands(front);
    addCreate(front, { app, atelier, documents, browser }, FACTORY);
    addFileCommands(front, { app, atelier, documents, browser }, () => openWidgets(tracker));
    addRevisions(app, atelier, catalog, services);
    register(app, services, tracker, context => new PipelineView(atelier, catalog, context, settings));
    addUndo(menu);
    membershipOf(atelier).changed.connect(() => commands.notifyCommandChanged(CommandIDs.run));
    offer(app, services, palette, launcher);
    void restorer?.restore(tracker, {
      command: 'docmanager:open',
      args: widget => ({ path: widget.context.path, factory: FACTORY }),
      name: widget => widget.context.path
    });
  }
};

function followSettings(
  app: JupyterFrontEnd,
  registry: ISettingRegistry,
  settings: PipelineSettings,
  trans: TranslationBundle
): void {
  translateSettings(registry, pipelines.id, settingTexts(trans));
  void app.restored
    .then(() => registry.load(pipelines.id))
    .then(loaded => settings.follow(loaded))
    .catch((error: unknown) => console.warn('The settings of pipelines are not there:', error));
}

/** Undo and redo in Lab's Edit menu are those of the pipeline where one is in front. */
function addUndo(menu: IMainMenu | null): void {
  const isEnabled = (widget: Widget): boolean =>
    widget instanceof PipelineWidget && !widget.content.view.readOnly;
  menu?.editMenu.undoers.undo.add({ id: CommandIDs.undo, isEnabled });
  menu?.editMenu.undoers.redo.add({ id: CommandIDs.redo, isEnabled });
}

/** The pipelines that are open, the one in front first. */
function openWidgets(tracker: WidgetTracker<PipelineWidget>): PipelineWidget[] {
  const all = tracker.filter(() => true);
  const current = tracker.currentWidget;
  return current ? [current, ...all.filter(widget => widget !== current)] : all;
}

function frontView(app: JupyterFrontEnd, tracker: WidgetTracker<PipelineWidget>): PipelineView | null {
  const current = app.shell.currentWidget as (Widget & { content?: unknown }) | null;
  const content =
    current?.content instanceof PipelineContent ? current.content : tracker.currentWidget?.content;
  return content?.view ?? null;
}

function register(
  app: JupyterFrontEnd,
  services: Services,
  tracker: WidgetTracker<PipelineWidget>,
  viewOf: (context: DocumentRegistry.IContext<PipelineView['file']>) => PipelineView
): void {
  const { docRegistry } = app;
  docRegistry.addFileType({
    name: FILE_TYPE,
    displayName: services.trans.__('Pipeline'),
    extensions: ['.pipeline'],
    mimeTypes: ['application/json'],
    contentType: 'file',
    fileFormat: 'text',
    icon: pipelineIcon
  });
  docRegistry.addModelFactory(new PipelineFileFactory());
  const factory = new PipelineWidgetFactory({
    name: FACTORY,
    label: services.trans.__('Pipeline'),
    modelName: 'atelier-pipeline',
    fileTypes: [FILE_TYPE],
    defaultFor: [FILE_TYPE],
    translator: services.translator,
    toolbarFactory: widget => toolbar(services, widget),
    viewOf,
    services
  });
  factory.widgetCreated.connect((_factory, widget) => {
    widget.context.pathChanged.connect(() => void tracker.save(widget));
    widget.content.view.changed.connect(() => notify(services));
    void tracker.add(widget);
  });
  docRegistry.addWidgetFactory(factory);
}

let notified = 0;

/** Buttons look at what is selected; once per frame is enough. */
function notify({ commands }: Services): void {
  notified ||= window.requestAnimationFrame(() => {
    notified = 0;
    for (const id of [CommandIDs.undo, CommandIDs.redo, CommandIDs.remove, CommandIDs.copy]) {
      commands.notifyCommandChanged(id);
    }
  });
}

const BUTTONS: readonly [string, string][] = [
  ['save', 'docmanager:save'],
  ['undo', CommandIDs.undo],
  ['redo', CommandIDs.redo],
  ['copy', CommandIDs.copy],
  ['paste', CommandIDs.paste],
  ['delete', CommandIDs.remove],
  ['arrange', CommandIDs.arrange],
  ['fit', CommandIDs.fit],
  ['find', CommandIDs.find],
  ['comment', CommandIDs.comment]
];

function toolbar({ commands, trans }: Services, widget: PipelineWidget): DocumentRegistry.IToolbarItem[] {
  const button = (id: string, label = ''): Widget =>
    new CommandToolbarButton({ commands, id, label, args: { toolbar: true } });
  const run = button(CommandIDs.run, trans.__('Run'));
  run.addClass('at-RunButton');
  const problems = button(CommandIDs.problems, trans.__('Problems'));
  const count = (): void => {
    const { view } = widget.content;
    problems.node.dataset.count = String(view.problems.length);
  };
  widget.content.view.changed.connect(count);
  problems.addClass('at-ProblemsButton');
  return [
    ...BUTTONS.map(([name, id]) => ({ name, widget: button(id) })),
    { name: 'spacer', widget: Toolbar.createSpacerItem() },
    { name: 'problems', widget: problems },
    { name: 'log', widget: button(CommandIDs.log, trans.__('Log')) },
    { name: 'results', widget: button(CommandIDs.results, trans.__('Results')) },
    { name: 'run', widget: run }
  ];
}

function offer(
  app: JupyterFrontEnd,
  { trans }: Services,
  palette: ICommandPalette | null,
  launcher: ILauncher | null
): void {
  const category = trans.__('Atelier');
  launcher?.add({ command: CommandIDs.create, category, rank: 1 });
  palette?.addItem({ command: CommandIDs.create, category, args: { isPalette: true } });
  const fileOnly = new Set<string>([
    CommandIDs.create,
    CommandIDs.addFile,
    CommandIDs.runFile,
    CommandIDs.openRevision
  ]);
  for (const command of Object.values(CommandIDs).filter(id => !fileOnly.has(id))) {
    palette?.addItem({ command, category });
  }
}
