--#include names arguments settling
-- Delete taken records: owner, tokens. Gives those that were not the owner's.
return settle_all(argument())
