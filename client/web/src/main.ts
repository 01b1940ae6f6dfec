/** The page's entry: creates its parts and connects them. */
import { onAccepted, startAccess } from './access.ts';
import { maxFileSize } from './api.ts';
import { startChoosing } from './choose.ts';
import { type Chosen, waitingFor } from './chosen.ts';
import { byId } from './dom.ts';
import { listenToEvents } from './events.ts';
import { type FilesView, startFilesView } from './files-view.ts';
import { startLanguage } from './i18n.ts';
import { startLinksDialog } from './links-dialog.ts';
import { openPreview, startPreview } from './preview.ts';
import { startPlace } from './place.ts';
import { createQueue, type Queue } from './queue.ts';
import { createAsking } from './question.ts';
import { type QuotaLine, startQuotaLine } from './quota-line.ts';
import { startRequestDialog } from './request-dialog.ts';
import { startShareDialog } from './share-dialog.ts';
import { startStreams } from './streams.ts';
import { startTrashDialog, type TrashDialog } from './trash-dialog.ts';
import { startTrashState } from './trash-state.ts';
import { createUploadsView } from './uploads-view.ts';

/** The largest file that the service takes. */
function createLimit(): { askLimit: () => Promise<void>; limit: () => number | null } {
  let limit: number | null = null;
  let asked: Promise<void> | null = null;
  return {
    askLimit: () => {
      asked ??= maxFileSize()
        .then((bytes) => void (limit = bytes))
        // The page asks again with the next files. Until then the service itself refuses a file that is too large.
        .catch(() => void (asked = null));
      return asked;
    },
    limit: () => limit,
  };
}

function start(): void {
  startLanguage(byId<HTMLButtonElement>('language'));
  startAccess();
  startPreview();
  startLinksDialog();
  startShareDialog();
  const trash = startTrashDialog();
  const renewTrashState = startTrashState();
  const quota = startQuotaLine();
  const place = startPlace((from) => files.opened(from));
  startRequestDialog(place);
  const files = startFilesView(place);

  const { askLimit, limit } = createLimit();
  void askLimit();

  const view = createUploadsView({
    queue: () => queue,
    limit,
    choose: () => choosing.choose(),
    open: (item) => item.result && void openPreview(item.result),
  });
  const queue: Queue = createQueue(
    {
      onChange: (item) => view.onChange(item),
      onList: () => view.onList(),
      onOver: (item) => {
        view.onOver(item);
        quota.renew();
        if (item.result) files.putOwn(item.result);
      },
    },
    limit,
  );
  startStreams(byId<HTMLSelectElement>('streams'));
  const addAsking = createAsking((chosen) => queue.add(chosen));

  async function add(chosen: readonly Chosen[]): Promise<void> {
    await Promise.all([askLimit(), queue.restored]);
    const others = view.takeBack(chosen);
    // A file that was chosen before resumes; its name was settled then.
    const isKnown = (one: Chosen): boolean => waitingFor(one, queue.items) !== undefined;
    const known = others.filter(isKnown);
    if (known.length > 0) queue.add(known);
    await addAsking(others.filter((one) => !known.includes(one)));
  }

  const choosing = startChoosing((chosen) => void add(chosen), place);

  document.body.classList.add('ready');

  const events = followEvents(files, trash, { renewTrashState, quota });
  onAccepted(() => {
    void files.reload();
    events.wake();
  });
}

/** Keeps what is shown up to date. */
function followEvents(
  files: FilesView,
  trash: TrashDialog,
  { renewTrashState, quota }: { renewTrashState: () => void; quota: QuotaLine },
): ReturnType<typeof listenToEvents> {
  let begun = false;
  return listenToEvents({
    onBegin: () => {
      // The first time, the list is loading already.
      if (begun) {
        void files.reload();
        trash.changed();
        quota.askAgain();
      }
      begun = true;
      renewTrashState();
    },
    onPublished: (file) => {
      files.put(file, 'published');
      trash.changed();
      quota.renew();
    },
    onRenamed: (file) => files.put(file, 'renamed'),
    onDeleted: (id) => {
      files.gone(id);
      trash.changed();
      quota.renew();
    },
    onMoved: (from, to) => files.moved(from, to),
  });
}

start();
