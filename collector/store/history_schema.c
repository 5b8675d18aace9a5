#include "store/history_schema.h"

#include "store/state_table.h"

#define APPLICATION_ID 0x43684831 /* "ChH1" */

#define POINT_COLUMNS "id, point, name, unit, type, site, map, class, interval_ms"
#define QUALITY       "((q & 65535) >> 8)"
#define USABLE        "CASE WHEN " QUALITY " <= 1 THEN value END"
#define MOVED_TO                                                                                  \
    "EXISTS(SELECT 1 FROM samples INDEXED BY samples_moved WHERE point = ?1 AND t_ms + tie = ?2 " \
    "AND tie > 0)"
#define MOVED_HIGHEST                                                                             \
    "ifnull((SELECT t_ms + tie FROM samples INDEXED BY samples_moved WHERE point = ?1 AND tie > " \
    "0 "                                                                                          \
    "ORDER BY t_ms + tie DESC LIMIT 1), ?2)"
#define SAMPLE_COLUMNS "s.t_ms, s.tie, s.value, s.text, s.q, s.source, s.seq"

static const char *const migrations[] = {
    STATE_TABLE_SQL
    "CREATE TABLE births(birth TEXT PRIMARY KEY, payload BLOB NOT NULL) STRICT;"
    "CREATE TABLE points(id INTEGER PRIMARY KEY, point TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " unit TEXT NOT NULL, type TEXT NOT NULL, site TEXT NOT NULL, map TEXT NOT NULL,"
    " class TEXT NOT NULL, interval_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE sources(id INTEGER PRIMARY KEY, edge TEXT NOT NULL, epoch TEXT NOT NULL,"
    " stream TEXT NOT NULL, UNIQUE(edge, epoch, stream)) STRICT;"
    "CREATE TABLE samples(point INTEGER NOT NULL, t_ms INTEGER NOT NULL, tie INTEGER NOT NULL,"
    " value REAL, text TEXT, q INTEGER NOT NULL, source INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY(point, t_ms, tie)) WITHOUT ROWID, STRICT;"
    "CREATE TABLE rollups(point INTEGER NOT NULL, slot INTEGER NOT NULL, count INTEGER NOT NULL,"
    " used INTEGER NOT NULL, min REAL, max REAL, mean REAL, worst INTEGER NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, PRIMARY KEY(point, slot))"
    " WITHOUT ROWID, STRICT;"
    "CREATE INDEX samples_ties ON samples(point, t_ms, source, seq) WHERE tie > 0;",
    "CREATE INDEX samples_moved ON samples(point, t_ms + tie) WHERE tie > 0;",
};

static const char *const statements[HISTORY_STATEMENTS] = {
    [HISTORY_ADD_BIRTH] =
        "INSERT INTO births(birth, payload) VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [HISTORY_GET_BIRTH] = "SELECT payload FROM births WHERE birth = ?1",
    [HISTORY_FIND_POINT] = "SELECT " POINT_COLUMNS " FROM points WHERE point = ?1",
    [HISTORY_ADD_POINT] =
        "INSERT INTO points(point, name, unit, type, site, map, class, interval_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
    [HISTORY_UPDATE_POINT] =
        "UPDATE points SET name = ?2, unit = ?3, type = ?4, site = ?5, map = ?6, "
        "class = ?7, interval_ms = ?8 WHERE point = ?1",
    [HISTORY_LIST_POINTS] =
        "SELECT " POINT_COLUMNS " FROM points WHERE id > ?1 ORDER BY id LIMIT ?2",
    [HISTORY_FIND_SOURCE] = "SELECT id FROM sources WHERE edge = ?1 AND epoch = ?2 AND stream = ?3",
    [HISTORY_ADD_SOURCE] =
        "INSERT INTO sources(edge, epoch, stream) VALUES(?1, ?2, ?3) RETURNING id",
    [HISTORY_ADD_SAMPLE] = "INSERT INTO samples(point, t_ms, tie, value, text, q, source, seq) "
                           "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    [HISTORY_COUNT_SAME] = "SELECT (SELECT count(*) FROM samples WHERE point = ?1 AND t_ms = ?2 "
                           "AND tie = 0 AND source = ?3 AND seq = ?4) + "
                           "(SELECT count(*) FROM samples INDEXED BY samples_ties WHERE point = ?1 "
                           "AND t_ms = ?2 AND source = ?3 AND seq = ?4 AND tie > 0)",
    [HISTORY_NEXT_TIE] = "SELECT ifnull((SELECT tie FROM samples WHERE point = ?1 AND t_ms = ?2 "
                         "ORDER BY tie DESC LIMIT 1), 0) + 1",
    [HISTORY_IS_MOVED_TO] = "SELECT " MOVED_TO,
    [HISTORY_IS_TAKEN] = "SELECT EXISTS(SELECT 1 FROM samples WHERE point = ?1 AND t_ms = ?2 "
                         "AND tie = 0) OR " MOVED_TO,
    [HISTORY_TIE_OF] = "SELECT tie FROM samples INDEXED BY samples_ties WHERE point = ?1 "
                       "AND t_ms = ?2 AND source = ?3 AND seq = ?4 AND tie > 0 "
                       "ORDER BY tie DESC LIMIT 1 OFFSET ?5",
    [HISTORY_MOVED_HIGHEST] = "SELECT " MOVED_HIGHEST,
    [HISTORY_HIGHEST] = "SELECT max(ifnull((SELECT t_ms FROM samples WHERE point = ?1 "
                        "ORDER BY t_ms DESC LIMIT 1), ?2), " MOVED_HIGHEST ")",
    [HISTORY_LATEST] =
        "SELECT " SAMPLE_COLUMNS ", p.id, p.point FROM points p CROSS JOIN samples s "
        "ON s.point = p.id AND (s.t_ms, s.tie) = (SELECT t_ms, tie FROM samples "
        "WHERE point = p.id ORDER BY t_ms DESC, tie DESC LIMIT 1) "
        "WHERE p.id > ?1 ORDER BY p.id LIMIT ?2",
    [HISTORY_SAMPLES] =
        "SELECT " SAMPLE_COLUMNS " FROM samples s WHERE s.point = ?1 "
        "AND (s.t_ms, s.tie) > (?2, ?3) AND s.t_ms < ?4 ORDER BY s.t_ms, s.tie LIMIT ?5",
    [HISTORY_ROLL_UP] =
        "INSERT OR REPLACE INTO rollups SELECT point, ?2, count(*), count(" USABLE "), "
        "min(" USABLE "), max(" USABLE "), avg(" USABLE "), max(" QUALITY "), min(t_ms), max(t_ms) "
        "FROM samples WHERE point = ?1 AND t_ms >= ?3 AND t_ms < ?4 HAVING count(*) > 0",
    [HISTORY_ROLLED_LAST] = "SELECT ifnull((SELECT max(slot) FROM rollups WHERE point = ?1), ?2), "
                            "(SELECT max(t_ms) FROM samples WHERE point = ?1 "
                            "AND t_ms < ?3)",
    [HISTORY_UNROLL] = "DELETE FROM rollups WHERE point = ?1 AND slot = ?2",
    [HISTORY_ROLLUPS] = "SELECT slot, count, used, min, max, mean, worst, first_ms, last_ms "
                        "FROM rollups WHERE point = ?1 AND slot >= ?2 AND slot < ?3 ORDER BY slot",
    [HISTORY_SET_STATE] = STATE_SET_SQL,
    [HISTORY_GET_STATE] = STATE_GET_SQL,
};

const struct db_schema history_schema = {
    .application = APPLICATION_ID,
    .migrations = migrations,
    .version = sizeof migrations / sizeof *migrations,
    .statements = statements,
    .statement_count = HISTORY_STATEMENTS,
};
