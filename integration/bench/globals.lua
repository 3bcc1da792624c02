require "global_functions" () -- hfilter.lua uses them
