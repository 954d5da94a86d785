--#include names order counting dropping
-- Delete the ready records of a queue: queue. Gives their number.
return clear(ARGV[2])
