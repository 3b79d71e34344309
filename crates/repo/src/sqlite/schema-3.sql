-- What version 3 changes: results stand in the row that is written for every object anyway, not in a table of their own.
-- A JSON list, newest first, of at most five lists: number, activity, time, status, and the message if there is one. The number counts the
-- results of the shadow.

ALTER TABLE shadow_seen ADD COLUMN results TEXT;
UPDATE shadow_seen SET results = (
    SELECT json_group_array(
      CASE WHEN message IS NULL THEN json_array(nr, task_activity, at, status) ELSE json_array(nr, task_activity, at, status, message) END
      ORDER BY nr DESC)
    FROM operation_result WHERE shadow = shadow_seen.id)
  WHERE id IN (SELECT shadow FROM operation_result);
DROP TABLE operation_result;
