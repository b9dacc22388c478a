/* Kills the writer of a ring at any step, beside a live reader, and recovers what is left (Spin).
 *
 * One writer with a slot ring of CAP slots and a text ring of TEXT words, one reader that polls
 * while the writer lives, a kill that may strike before any store, and then: the reader drains,
 * and a recoverer scans the stamps. Every interleaving is tried; memory is sequentially consistent
 * here (view_machine.py is for the weak orders, crash_machine.py for larger rings without reader).
 *
 * Event t has t % 3 words of text. Its slot holds one word (t + 1) and the text's position; the
 * text word at position p is p + 1. stamp = 2(t + 1), plus 1 while busy.
 *
 * Mutants, each of which must fail: -DINTENT_AFTER_TEXT -DNO_BUSY_STAMP -DFINAL_FIRST
 * -DCOUNTER_LAST -DNO_RECHECK -DNO_INTENT_RECHECK -DJUMP_TO_NEWEST. With -DWITNESS the run must
 * fail too: it says that no run loses both an event and a text and has one in mid-write.
 */
#define CAP 3
#define TEXT 2
#define N 7

#define STAMP(t) (2 * ((t) + 1))
#define BUSY(t) (2 * ((t) + 1) + 1)
#define LENGTH(t) ((t) % 3)

byte stamp[CAP], word[CAP], where[CAP];
byte text[TEXT], intent;
byte counter; /* events begun: the ledger's "recorded" */
bool dead;    /* the writer was killed, or is done; its memory stays */

byte finished; /* ghost: final stamps stored. Never read by the protocol */
byte begun;    /* ghost: busy stamps stored */

proctype writer() {
  byte t, i, n, position;
  {
    do
    :: t < N ->
       i = t % CAP;
#ifndef COUNTER_LAST
       counter = t + 1;
#endif
#ifndef NO_BUSY_STAMP
       d_step { stamp[i] = BUSY(t); begun = t + 1 };
#else
       begun = t + 1;
#endif
#ifndef INTENT_AFTER_TEXT
       if
       :: LENGTH(t) > 0 -> intent = position + LENGTH(t)
       :: else
       fi;
#endif
#ifdef FINAL_FIRST
       d_step { stamp[i] = STAMP(t); finished = t + 1 };
#endif
       n = 0;
       do
       :: n < LENGTH(t) -> d_step { text[(position + n) % TEXT] = position + n + 1; n++ }
       :: else -> break
       od;
#ifdef INTENT_AFTER_TEXT
       if
       :: LENGTH(t) > 0 -> intent = position + LENGTH(t)
       :: else
       fi;
#endif
       word[i] = t + 1;
       where[i] = position;
#ifndef FINAL_FIRST
       d_step { stamp[i] = STAMP(t); finished = t + 1 };
#endif
#ifdef COUNTER_LAST
       counter = t + 1;
#endif
       d_step { position = position + LENGTH(t); t++ }
    :: else -> break
    od
  } unless { dead };
  dead = true
}

proctype killer() { dead = true }

byte next, delivered, lost, text_lost; /* the reader's cursor and counts */

/* The slot shows a later ticket u: all up to u - CAP are being overwritten. */
inline skip_lost() {
  d_step {
#ifdef JUMP_TO_NEWEST
    target = s / 2 - 1;
#else
    target = s / 2 - 1 - CAP + 1;
#endif
    assert(target + CAP <= begun); /* the newest ticket called lost is really being overwritten */
    lost = lost + (target - next);
    next = target
  }
}

/* Reads the slot of ticket `next` once: delivers it, counts what is lost, or has to wait. */
inline poll_once() {
  i = next % CAP;
  s = stamp[i];
  if
  :: s == STAMP(next) ->
     w = word[i];
     p = where[i];
     whole = true;
     n = 0;
     do
     :: n < LENGTH(next) ->
        d_step { whole = whole && (text[(p + n) % TEXT] == p + n + 1); n++ }
     :: else -> break
     od;
#ifdef NO_RECHECK
     again = s;
#else
     again = stamp[i];
#endif
     if
     :: again == s ->
        assert(w == next + 1); /* not torn */
#ifdef NO_INTENT_RECHECK
        assert(whole);
#else
        if
        :: LENGTH(next) > 0 && intent > p + TEXT -> text_lost++
        :: else -> assert(whole) /* text is whole, or said to be lost */
        fi;
#endif
        delivered++;
        next++
     :: else -> s = again; skip_lost()
     fi
  :: s > BUSY(next) -> skip_lost()
  :: else -> waiting = true /* not written yet, or in mid-write */
  fi
}

/* What a scan of the stamps finds, without the reader's history. */
inline recover() {
  d_step {
    byte k, busy, complete, newest, oldest, m;
    k = 0;
    do
    :: k < CAP ->
       if
       :: stamp[k] % 2 == 1 ->
          busy++;
          assert(stamp[k] == BUSY(finished)) /* only the next event can be in mid-write */
       :: stamp[k] % 2 == 0 && stamp[k] > 0 ->
          complete++;
          m = stamp[k] / 2 - 1;
          assert(word[k] == m + 1);
          if
          :: m + 1 > newest -> newest = m + 1
          :: else
          fi;
          if
          :: oldest == 0 || m + 1 < oldest -> oldest = m + 1
          :: else
          fi;
          if
          :: LENGTH(m) > 0 && intent <= where[k] + TEXT ->
             assert(text[where[k] % TEXT] == where[k] + 1);
             assert(LENGTH(m) < 2 || text[(where[k] + 1) % TEXT] == where[k] + 2)
          :: else
          fi
       :: else
       fi;
       k++
    :: else -> break
    od;
    assert(busy <= 1);
    assert(newest == finished);
    assert(complete == 0 || newest - oldest + 1 == complete); /* contiguous */
    if
    :: finished < CAP -> assert(complete == finished)
    :: else -> assert(complete == CAP - busy)
    fi
  }
}

proctype reader() {
  byte i, s, again, w, p, n, target;
  bool whole, waiting;
  do
  :: !dead -> waiting = false; poll_once()
  :: dead -> break
  od;
  /* the dead store nothing: drain what is left */
  waiting = false;
  do
  :: !waiting -> poll_once()
  :: waiting -> break
  od;
  assert(next == finished);                 /* every finished event was delivered or counted */
  assert(delivered + lost == finished);
#ifdef WITNESS
  assert(lost == 0 || text_lost == 0 || begun == finished);
#endif
  assert(counter == finished || counter == finished + 1); /* at most one in flight */
  recover()
}

init {
  atomic {
    run writer();
    run killer();
    run reader()
  }
}
