/** Numbers events in one message: a node that freezes after it holds no lock (docs/decisions/0039). */
export const numberEvents = `
-- Gives numbers to at most so many events.
CREATE FUNCTION number_events(most bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- A step of its own: the next one sees what others have numbered while this one waited.
  PERFORM FROM event_numbers FOR UPDATE;
  WITH new AS (
    SELECT id, row_number() OVER (ORDER BY id) AS place
      FROM events WHERE number IS NULL ORDER BY id LIMIT most
  ), given AS (
    UPDATE event_numbers SET last = last + (SELECT count(*) FROM new)
      RETURNING last - (SELECT count(*) FROM new) AS before
  )
  UPDATE events SET number = given.before + new.place FROM new, given WHERE events.id = new.id;
END
$$;
`;
