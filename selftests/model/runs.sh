# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# The runs of run.sh: what is expected, model, label, options.
# The longest stand first.

runs='
holds   order     base              -DN=3
holds   order     STRICT            -DN=3 -DSTRICT -DHELDMARK -DSTOREDFIRST
holds   gate      base              -DW=2 -DMAXC=2
holds   gate      base,W=1          -DW=1 -DMAXC=2
holds   order     base,2-crashes    -DN=2 -DMAXC=2
holds   order     base,2-topics     -DN=2 -DTOPICS=2
holds   routedel  base              -DMAXC=2 -DFRAMES=3
holds   ready     base              -DMAXC=2 -DE=4
holds   takeover  base              -DMAXC=2
holds   handover  base              -DNM=3 -DW=2 -DMAXC=2
holds   handover  base,SEPARATE     -DNM=3 -DW=2 -DMAXC=2 -DSEPARATE
holds   handover  base,CLEAN        -DNM=3 -DW=2 -DMAXC=2 -DCLEAN
holds   handover  base,CLEAN,W=1    -DNM=3 -DW=1 -DMAXC=2 -DCLEAN
holds   room      base              -DNR=4 -DNL=6
holds   numbers   base              -DMAXC=2
holds   copies    base              -DN=4

refuted order     EARLYPUNT         -DN=2 -DEARLYPUNT
refuted order     NOFILTER          -DN=2 -DNOFILTER
refuted order     FILTERBIT         -DN=3 -DFILTERBIT
refuted order     NOBARRIER         -DN=2 -DNOBARRIER
refuted order     NOREPLAY          -DN=2 -DNOREPLAY
refuted order     NOWAIT            -DN=2 -DNOWAIT
refuted order     RETFIRST          -DN=2 -DRETFIRST
refuted order     SPLITACK          -DN=2 -DSPLITACK
refuted order     ACKFIRST          -DN=2 -DACKFIRST
refuted order     MARKSKIP          -DN=2 -DMARKSKIP
refuted order     NOGATE            -DN=2 -DNOGATE
refuted order     ENQGATE           -DN=2 -DENQGATE
refuted order     ROUTEFIRST        -DN=2 -DROUTEFIRST
refuted order     HOLDNOW           -DN=2 -DHOLDNOW
refuted order     LIVEPASS          -DN=2 -DLIVEPASS
refuted order     NOSKIP            -DN=2 -DNOSKIP
refuted order     NOHELD            -DN=2 -DNOHELD
refuted order     NORELEASE         -DN=2 -DNORELEASE
refuted order     STRICT-without-HELDMARK   -DN=2 -DSTRICT -DSTOREDFIRST
refuted order     STRICT-without-STOREDFIRST -DN=2 -DSTRICT -DHELDMARK

refuted gate      BARLAST           -DW=1 -DBARLAST
refuted gate      RELEACH           -DW=1 -DRELEACH
refuted gate      RELALL            -DW=1 -DRELALL
refuted gate      COUNT             -DW=1 -DCOUNT
refuted gate      EARLYHELD         -DW=1 -DEARLYHELD
refuted gate      NOCLOSE           -DW=1 -DNOCLOSE
refuted gate      VOLANY            -DW=2 -DVOLANY
refuted gate      VOLINFLIGHT       -DW=1 -DVOLINFLIGHT

refuted takeover  STOP              -DSTOP
refuted takeover  DISCEV            -DDISCEV
refuted takeover  LITGONE           -DLITGONE
refuted takeover  WILLMEM           -DWILLMEM
refuted takeover  WILLSEP           -DWILLSEP
refuted takeover  LATEROUTE         -DLATEROUTE
refuted takeover  NOWAIT            -DNOWAIT
refuted takeover  NOFIFO            -DNOFIFO

refuted handover  NOMARK            -DNOMARK
refuted handover  NONUMBER          -DNONUMBER
refuted handover  NOREPLAY          -DNOREPLAY
refuted handover  NOWAIT            -DNOWAIT
refuted handover  PIDLATE           -DW=2 -DPIDLATE
refuted handover  FULLREORDER       -DW=2 -DFULLREORDER
refuted handover  NOCLOSE           -DCLEAN -DNOCLOSE
refuted handover  VOLACCEPTED       -DCLEAN -DVOLACCEPTED
refuted handover  VOLANY            -DCLEAN -DNM=3 -DW=2 -DVOLANY
refuted handover  VOLAHEAD          -DCLEAN -DNM=3 -DW=2 -DMAXC=2 -DVOLAHEAD
refuted handover  ROWEARLY          -DCLEAN -DROWEARLY
refuted handover  CLEAN,SEPARATE    -DCLEAN -DSEPARATE

refuted ready     UNACKEDREADY      -DUNACKEDREADY
refuted ready     BINDSLEEP         -DBINDSLEEP
refuted ready     NOENOBUFS         -DNOENOBUFS
refuted ready     ONEWALK           -DONEWALK
refuted ready     LATEEND           -DLATEEND

refuted routedel  NOGRACE           -DNOGRACE
refuted routedel  SHORTSECTION      -DSHORTSECTION
refuted routedel  ABSENT            -DABSENT
refuted routedel  JOINGRACE         -DJOINGRACE
refuted routedel  LATEUNLINK        -DLATEUNLINK
refuted routedel  MEMO              -DMEMO

refuted numbers   ONELAST           -DONELAST
refuted numbers   KEEP              -DKEEP
refuted numbers   QUEUEUP           -DQUEUEUP
refuted numbers   TOLDOPEN          -DTOLDOPEN
refuted room      SHARED            -DSHARED
refuted room      BYSIZE            -DBYSIZE
refuted room      FORGETLIVE        -DFORGETLIVE
refuted room      ONEFLAG           -DONEFLAG
refuted room      RELALL            -DRELALL
refuted room      NOKICK            -DNOKICK
refuted room      CLEARSOON         -DCLEARSOON

refuted copies    NOLIST            -DNOLIST
refuted copies    SKIPALL           -DSKIPALL
refuted copies    NOGRACE           -DNOGRACE
refuted copies    NODRAIN           -DNODRAIN
refuted copies    NORCU             -DNORCU
'
